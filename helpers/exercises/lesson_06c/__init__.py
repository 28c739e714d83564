"""The exercises of lessons 06c and 06d, from DPO's relatives to rewards that can be checked, a module each."""
from helpers.exercises.lesson_06c import implied_probability, ipo_loss, leave_one_out, sum_reward

EXERCISES = tuple(module.EXERCISE for module in (ipo_loss, implied_probability, leave_one_out, sum_reward))
