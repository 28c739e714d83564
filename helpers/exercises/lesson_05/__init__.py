"""The exercises of lessons 05 to 05d, Training, a module each."""
from helpers.exercises.lesson_05 import accumulated, averaged, lion, pack, signal_and_noise, stable_schedule

EXERCISES = tuple(module.EXERCISE for module in (
    pack, stable_schedule, accumulated, signal_and_noise, lion, averaged))
