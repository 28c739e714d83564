"""The exercises of lesson 01, Tokenization, a module each."""
from helpers.exercises.lesson_01 import chat_cost, encode_chat, encode_longest, merge_once, split, stream_text

EXERCISES = tuple(module.EXERCISE for module in (
    merge_once, stream_text, split, encode_longest, chat_cost, encode_chat))
