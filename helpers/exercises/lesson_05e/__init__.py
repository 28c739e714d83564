"""The exercises of lessons 05e to 05g, from fine-tuning to LoRA, a module each."""
from helpers.exercises.lesson_05e import chat_targets, merge_adapters, moved, packed_mask

EXERCISES = tuple(module.EXERCISE for module in (chat_targets, packed_mask, moved, merge_adapters))
