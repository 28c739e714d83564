"""A conversation with a model that was trained for one.

To the model a chat is one long text with marks in it, laid out by its template, a small Jinja program that comes with
the weights. `Chat` keeps the messages, lays them out, and lets `sampling.stream` continue the text:

    chat = Chat(*helpers.pretrained.smollm2(), seed=0)
    for token in chat.stream("Why is the sky blue?"):
        print(token.text, end="")
"""
import functools
from collections.abc import Collection, Generator
from numbers import Integral
from typing import TYPE_CHECKING

from helpers import assets, sampling
from helpers.checks import require
from helpers.gguf_file import GGUF
from helpers.patterns import any_of
from helpers.prompts import check_seed, shared
from helpers.replies import as_list
from helpers.sampling import Token

if TYPE_CHECKING:
    import jinja2

    from helpers.tokenizer import BPETokenizer
    from helpers.transformer import Transformer

Message = dict[str, str]            # {"role": "system", "user" or "assistant", "content": text}

# Stands inside what looks like a special token in a message, so that it is not taken for one; gone before encoding.
# Unicode keeps this code free for such use: no text has it.
BREAK = "\U0010ffff"


class Chat:
    """One conversation. Its messages are in `messages`; what no longer fitted is in `forgotten`.

    template: the model's chat template; None takes SmolLM2's.
    system: what the model is told before anything else; None leaves that to the template.
    seed: the first answer draws with it, the second with seed + 1, and so on; None draws anew each time.
    context: how many tokens the conversation may take, an answer included; None is all that the model can see.
    Keys and values of what was read and written are kept between turns, so that only what is new is read.
    Raises ValueError for a template that is not one or is missing, and for a context that the model does not have.
    """

    def __init__(self, model: "Transformer", tokenizer: "BPETokenizer", template: str | None = None,
                 system: str | None = None, seed: int | None = None, context: int | None = None):
        require(template is not None or "<|im_start|>" in tokenizer.special_tokens,
                "template is None, which means SmolLM2's, and the tokenizer is another's; give its model's template.")
        check_seed(seed)
        self.model, self.tokenizer, self.system, self.seed = model, tokenizer, system, seed
        self.template = smollm2_template() if template is None else template
        self.context = model.config.context if context is None else context
        self.cache = model.cache(1, self.context)
        self._writing: Generator[Token, None, None] | None = None
        compile_template(self.template)
        self.reset()

    def reset(self) -> None:
        """Forget everything but the system message."""
        if self._writing is not None:
            self._writing.close()
        self.messages: list[Message] = [] if self.system is None else [{"role": "system", "content": self.system}]
        self.forgotten: list[Message] = []
        self.answers = 0
        self._text, self._ids = "", []      # what the model has read and written; the cache holds the first of the ids
        self.cache.truncate(0)

    def ask(self, message: str, **settings) -> str:
        """The whole answer; message and settings as in `stream`."""
        return "".join(token.text for token in self.stream(message, **settings))

    def stream(self, message: str, max_new_tokens: int | None = None, temperature: float = 0.2,
               top_k: int | None = None, top_p: float | None = 0.9, min_p: float | None = None,
               repetition_penalty: float | None = None,
               stop: Collection[int | str] | int | str = ()) -> Generator[Token, None, None]:
        """Say something, and yield the answer token by token.

        Settings as in `sampling.stream`; their defaults draw carefully, as suits a small model. An answer ends at any
        special token, at `stop`, or after max_new_tokens (None: 512, or half the context where that is less). That much
        room is kept free for it: when the conversation leaves less of the context, the oldest turns are moved from
        `messages` to `forgotten`, but never the system message.
        A message is text, whatever is in it: "<|im_end|>" typed by a user is ten characters, not the end of a message.
        Close the generator, or interrupt it, and the answer so far is kept as the answer; before its first token, the
        message is taken back. Asking again closes an answer that is still being written.
        Raises ValueError at the call for a setting out of range, and for a message that alone does not fit.
        """
        if self._writing is not None:
            self._writing.close()
        require(isinstance(message, str) and bool(message.strip()), f"message is {message!r}; give some text.")
        max_new_tokens = min(512, self.context // 2) if max_new_tokens is None else max_new_tokens
        require(isinstance(max_new_tokens, Integral) and max_new_tokens >= 1,
                f"max_new_tokens is {max_new_tokens!r}; give a whole number of at least 1.")
        messages, forgotten = self.fit([*self.messages, {"role": "user", "content": message}], max_new_tokens)
        text, ids = self.encode(messages)
        self.cache.truncate(shared(ids[:-1], self._ids[:self.cache.length]))
        tokens = sampling.stream(
            self.model, ids, max_new_tokens, temperature, top_k, top_p, min_p, repetition_penalty,
            stop=[*self.tokenizer.special_tokens.values(), *as_list(stop)],
            seed=None if self.seed is None else self.seed + self.answers, tokenizer=self.tokenizer, kv_cache=self.cache)
        self._writing = self._write(tokens, messages, forgotten, text, ids)
        return self._writing

    def _write(self, tokens: Generator[Token, None, None], messages: list[Message], forgotten: list[Message], text: str,
               ids: list[int]) -> Generator[Token, None, None]:
        """Pass the tokens on; whatever happens, leave a conversation that can go on."""
        written: list[Token] = []
        usable = self.cache.length          # what the cache holds of a conversation in which nothing was said
        complete = False
        try:
            for token in tokens:
                written.append(token)
                yield token
            complete = True
        finally:
            tokens.close()
            if complete or written:
                answer = "".join(token.text for token in written)
                new = [token.id for token in written]
                while not answer.startswith(self.tokenizer.decode(new)):    # half a character, or cut by a stop string
                    new.pop()
                self.messages = [*messages, {"role": "assistant", "content": answer}]
                self.forgotten += forgotten
                self.answers += 1
                self._text, self._ids = text + self.protect(self.tokenizer.decode(new)), ids + new
                usable = len(self._ids)
            self.cache.truncate(min(usable, self.cache.length))

    def fit(self, messages: list[Message], budget: int) -> tuple[list[Message], list[Message]]:
        """The messages that leave room for an answer of `budget` tokens, and the oldest turns, which had to go."""
        first = 1 if messages[0]["role"] == "system" else 0
        forgotten: list[Message] = []
        while (length := len(self.encode(messages)[1])) + budget > self.context:
            require(len(messages) > first + 1,
                    f"message needs {length} tokens with its template, and max_new_tokens is {budget}; this chat has "
                    f"room for {self.context} in all: shorten the message or give a smaller max_new_tokens.")
            turn = next(i for i in range(first + 1, len(messages)) if messages[i]["role"] == "user")
            forgotten += messages[first:turn]
            messages = messages[:first] + messages[turn:]
        return messages, forgotten

    def encode(self, messages: list[Message]) -> tuple[str, list[int]]:
        """The text and tokens of a conversation, up to where the answer begins.

        Tokens that were read or written before are kept as they were: a model may split its words in other ways than
        the tokenizer would, and reading them anew would lose the cache.
        """
        text = render(self.template, [message | {"content": self.protect(message["content"])} for message in messages])
        known, ids = (self._text, list(self._ids)) if text.startswith(self._text) else ("", [])
        special = self.tokenizer.special_tokens
        for part in any_of(frozenset(special)).split(text[len(known):]):
            ids += [special[part]] if part in special else self.tokenizer.encode(part.replace(BREAK, ""),
                                                                                 disallowed_special=())
        return text, ids

    def protect(self, content: str) -> str:
        """A message in which nothing can be taken for a special token."""
        special = any_of(frozenset(self.tokenizer.special_tokens))
        return special.sub(lambda found: found[0][0] + BREAK + found[0][1:], content)


def render(template: str, messages: list[Message], add_generation_prompt: bool = True) -> str:
    """The text of a conversation, as transformers' apply_chat_template lays it out.

    A template is given `messages`, `add_generation_prompt` (whether the text ends where an answer begins) and the
    function `raise_exception`. What else transformers gives is missing: `strftime_now`, `tools`, `documents`, and the
    tokenizer's special tokens by name (`bos_token`, `eos_token`, ...). A missing name is an empty text, and cannot be
    called.
    Raises ValueError for a template that is not one, calls what is missing, or refuses the messages.
    """
    import jinja2

    try:
        return compile_template(template).render(messages=messages, add_generation_prompt=add_generation_prompt)
    except jinja2.UndefinedError as error:
        raise ValueError(f"template asks for more than it is given: {error}. It is given messages, "
                         "add_generation_prompt and raise_exception; take the rest out of it.") from error


@functools.lru_cache
def compile_template(template: str) -> "jinja2.Template":
    """A chat template as a program. It came with a download, so it runs in a sandbox.

    Raises ValueError if it is not Jinja.
    """
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise ValueError(f"messages do not suit the chat template: {message}")

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals["raise_exception"] = raise_exception        # templates complain through it
    try:
        return environment.from_string(template)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"template is not a chat template: {error}, in line {error.lineno}.") from error


@functools.cache
def smollm2_template() -> str:
    """The chat template inside SmolLM2's file."""
    return GGUF(assets.path("smollm2.gguf")).fields["tokenizer.chat_template"]
