"""Experiments too long for a lesson, whose results the lessons draw."""
