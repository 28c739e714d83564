"""Exercise 1.5, what a chat costs, and when it is full: what its check compares with, tries, and recognises."""
import random

from helpers.exercises.exercise import Exercise, Mistake


def chat_cost(turns: list[tuple[int, int]], price_in: float, price_out: float, window: int) -> tuple[float, int]:
    dollars, history, fitting = 0.0, 0, 0
    for question, answer in turns:
        if history + question + answer > window:
            break
        dollars += ((history + question) * price_in + answer * price_out) / 1e6
        history += question + answer
        fitting += 1
    return dollars, fitting


def costs(keep=lambda question, answer: question + answer, sent=lambda history, question: history + question,
          needed=lambda history, question, answer: history + question + answer, unit=1e6, out=True, stop=True):
    """chat_cost with one thing other than it should be."""
    def answer(turns, price_in, price_out, window):
        dollars, history, fitting = 0.0, 0, 0
        for question, reply in turns:
            if needed(history, question, reply) > window:
                if stop:
                    break
            else:
                fitting += 1
            dollars += (sent(history, question) * price_in + reply * (price_out if out else price_in)) / unit
            history += keep(question, reply)
        return dollars, fitting
    return answer


def draw_chats(draw: random.Random) -> list[tuple]:
    cases = [([(1000, 500)], 2.0, 8.0, 8000), ([], 1.0, 2.0, 100), ([(1000, 500), (200, 300)], 2.0, 8.0, 8000),
             ([(100, 50), (80, 30)], 1.0, 5.0, 240), ([(100, 50), (80, 30)], 1.0, 5.0, 260),
             ([(100, 50)], 1.0, 5.0, 150), ([(100, 51)], 1.0, 5.0, 150)]
    for size in range(2, 12):
        turns = [(draw.randint(10, 900), draw.randint(10, 900)) for _ in range(size)]
        cases.append((turns, draw.uniform(0.1, 5), draw.uniform(5, 30), draw.randint(800, 6000)))
    return cases


EXERCISE = Exercise(
    id="1.5", name="chat_cost", title="What a chat costs, and when it is full", minutes=15,
    oracle=chat_cost, cases=draw_chats, tolerance=1e-9,
    mistakes=(
        Mistake(costs(sent=lambda history, question: question),
                "You pay for each message once. A model remembers nothing: every turn sends all earlier messages "
                "again, and they are paid for again."),
        Mistake(costs(keep=lambda question, answer: question),
                "The history holds your questions alone. The model's answers are sent back to it as well."),
        Mistake(costs(unit=1e3), "Your prices are for a thousand tokens; these are for a million."),
        Mistake(costs(out=False), "The answer's tokens are charged at the price of input. They have their own price."),
        Mistake(costs(needed=lambda history, question, answer: history + question),
                "You check whether the question fits. The answer must fit into the window too, behind it."),
        Mistake(costs(stop=False),
                "After the first turn that does not fit, the chat is over: later turns are not sent and cost nothing."),
    ),
    hints=("Keep one number: how many tokens the history has grown to. What is sent in a turn, what is received, and "
           "what does the history hold afterwards?",
           "Each turn costs (history + question) * price_in + answer * price_out, divided by a million; then the "
           "history grows by both. Stop before a turn with history + question + answer > window."),
)
