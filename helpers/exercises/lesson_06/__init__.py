"""The exercises of lessons 06 and 06b, from readers who choose by chance to PPO, a module each."""
from helpers.exercises.lesson_06 import (
    clipped_loss, highest_agreement, kl_estimate, last_reward, ranking_loss, token_rewards)

EXERCISES = tuple(module.EXERCISE for module in (
    highest_agreement, ranking_loss, last_reward, token_rewards, kl_estimate, clipped_loss))
