"""`python -m helpers.exercises` prints what is done and what is open."""
import helpers.exercises

helpers.exercises.progress()
