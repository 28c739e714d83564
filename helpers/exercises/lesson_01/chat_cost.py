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


def costs_in_cents(turns, price_in, price_out, window):
    dollars, fitting = chat_cost(turns, price_in, price_out, window)
    return round(dollars, 2), fitting


def costs_grown_before(turns, price_in, price_out, window):
    dollars, fitting = chat_cost(turns, price_in, price_out, window)
    return dollars + sum(answer for _, answer in turns[:fitting]) * price_in / 1e6, fitting


def chat_cost_and_on(turns, price_in, price_out, window):
    """Leaves out the turns that do not fit, and goes on with those that do."""
    kept: list[tuple[int, int]] = []
    for turn in turns:
        if sum(map(sum, kept)) + sum(turn) <= window:
            kept.append(turn)
    return chat_cost(kept, price_in, price_out, window)


def chat_cost_one_more(turns, price_in, price_out, window):
    """Sees that the window is full when the turn is already paid for."""
    _, fitting = chat_cost(turns, price_in, price_out, window)
    return chat_cost(turns[:fitting + 1], price_in, price_out, sum(map(sum, turns)))


def draw_chats(draw: random.Random) -> list[tuple]:
    cases = [([(1000, 500)], 2.0, 8.0, 8000), ([], 1.0, 2.0, 100), ([(1000, 500), (200, 300)], 2.0, 8.0, 8000),
             ([(100, 50), (80, 30)], 1.0, 5.0, 240), ([(100, 50), (80, 30)], 1.0, 5.0, 260),
             ([(100, 50)], 1.0, 5.0, 150),
             ([(100, 50), (300, 10), (20, 10)], 1.0, 5.0, 200), ([(100, 51)], 1.0, 5.0, 150)]
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
        Mistake(lambda turns, price_in, price_out, window: chat_cost(turns, price_out, price_in, window),
                "The two prices are mixed up: what is sent costs price_in, what is received price_out."),
        Mistake(costs_grown_before,
                "You let the history grow before you add the price, so the answer is charged as sent too. It is sent "
                "with the next turn."),
        Mistake(costs_in_cents,
                "You round to cents, and one turn costs less than a cent. Leave the dollars as they are."),
        Mistake(lambda turns, price_in, price_out, window: chat_cost(turns, price_in, price_out, sum(map(sum, turns))),
                "You never look at the window. The first turn that does not fit ends the chat."),
        Mistake(lambda turns, price_in, price_out, window: chat_cost(turns, price_in, price_out, window - 1),
                "A turn that fills the window to the last token still fits. Stop where the sum is > window, not >=."),
        Mistake(costs(needed=lambda history, question, answer: question + answer),
                "You check the turn alone. The history is sent along, and it takes most of the window."),
        Mistake(chat_cost_and_on,
                "You leave out a turn that does not fit and go on with later ones. The first that does not fit ends "
                "the chat: break, not continue."),
        Mistake(chat_cost_one_more,
                "You count and pay for the turn that no longer fits. Look whether it fits before you add anything."),
        Mistake(costs(stop=False),
                "After the first turn that does not fit, the chat is over: later turns are not sent and cost nothing."),
    ),
    hints=("Keep one number: how many tokens the history has grown to. What is sent in a turn, what is received, and "
           "what does the history hold afterwards?",
           "Each turn costs (history + question) * price_in + answer * price_out, divided by a million; then the "
           "history grows by both. Stop before a turn with history + question + answer > window."),
)
