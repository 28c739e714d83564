"""What every check of an argument ends in. It imports nothing, so that any module may use it."""


def require(fine: bool, sentence: str) -> None:
    """Raise ValueError with this sentence unless all is fine."""
    if not fine:
        raise ValueError(sentence)
