"""Exercise 7.4, another format of four bits: what its check compares with, tries, and recognises."""
import random
import struct
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property


def unpack_q4_0(blocks: Tensor) -> Tensor:
    if blocks.shape[1] != 18:
        raise ValueError(f"blocks have {blocks.shape[1]} bytes each; one of Q4_0 has 18.")
    weights = []
    for block in blocks.tolist():
        scale, = struct.unpack("<e", bytes(block[:2]))
        low = [byte % 16 for byte in block[2:]]
        high = [byte // 16 for byte in block[2:]]
        weights.append([scale * (half - 8) for half in low + high])
    return torch.tensor(weights)                                                 # (n, 32)


def checked(blocks: Tensor) -> None:
    if blocks.shape[1] != 18:
        raise ValueError("a block has 18 bytes")


def unchecked(blocks: Tensor) -> None:
    pass


def asserted(blocks: Tensor) -> None:
    assert blocks.shape[1] == 18, "a block has 18 bytes"


def in_front(blocks: Tensor) -> Tensor:
    return blocks[:, :2].contiguous().view(torch.float16).float()                # (n, 2) -> (n, 1)


def behind_the_scale(blocks: Tensor) -> Tensor:
    return blocks[:, 2:18]                                                       # (n, 16)


def low_first(packed: Tensor) -> Tensor:
    return torch.cat([packed & 15, packed >> 4], dim=1)                          # (n, 16) -> (n, 32)


def around_0(scale: Tensor, halves: Tensor) -> Tensor:
    return scale * (halves.float() - 8)                                          # (n, 32)


def unpacks(scale: Callable = in_front, packed: Callable = behind_the_scale, halves: Callable = low_first,
            weights: Callable = around_0, check: Callable = checked) -> Callable:
    """unpack_q4_0 with one thing other than it should be."""
    def answer(blocks):
        check(blocks)
        return weights(scale(blocks), halves(packed(blocks)))
    return answer


def scale_as(dtype: torch.dtype, bytes: slice = slice(0, 2)) -> Callable:
    return lambda blocks: blocks[:, bytes].contiguous().view(dtype).float()


def turned_round(blocks):
    return blocks[:, :2].flip(1).contiguous().view(torch.float16).float()


def as_bytes(scale, halves):
    """Takes 8 off while the numbers are still bytes, which know nothing below 0."""
    return scale * (halves - 8)


def twos_complement(scale, halves):
    return scale * torch.where(halves > 7, halves.float() - 16, halves.float())


def signed_bytes(packed):
    packed = packed.contiguous().view(torch.int8)
    return torch.cat([packed & 15, packed >> 4], dim=1)


def draw_blocks(draw: random.Random) -> list[tuple]:
    def block(scale: float, halves: list[int]) -> list[int]:
        return [*struct.pack("<e", scale), *halves]

    rising = [low | 15 - low << 4 for low in range(16)]
    cases = [(torch.tensor([block(0.5, [0x9F] + [0x88] * 15)], dtype=torch.uint8),),
             (torch.tensor([block(1.0, rising)], dtype=torch.uint8),),
             (torch.tensor([block(-0.25, rising[::-1]), block(0.0, rising)], dtype=torch.uint8),),
             (torch.tensor([[*struct.pack("<ee", 0.5, -1.0), *rising]], dtype=torch.uint8),),           # Q4_1: 20 bytes
             (torch.zeros(2, 17, dtype=torch.uint8),)]
    for n in (2, 3, 4, 5, 7, 9, 12):
        rows = [block(draw.choice((-1, 1)) * draw.uniform(0.01, 2), [draw.randrange(256) for _ in range(16)])
                for _ in range(n)]
        cases.append((torch.tensor(rows, dtype=torch.uint8),))
    return cases


def misplaces(answer) -> str | None:
    """A byte is two weights, and no more."""
    blocks = torch.tensor([[0x00, 0x3C] + [0x88] * 16], dtype=torch.uint8)       # a scale of 1, all weights 0
    for byte in range(16):
        changed = blocks.clone()
        changed[0, 2 + byte] = 0x7F                                              # 7 in the high half, 15 in the low
        weights = answer(changed)[0].tolist()
        wanted = [7.0 if i == byte else -1.0 if i == byte + 16 else 0.0 for i in range(32)]
        if weights != wanted:
            return f"the half-bytes 15 and 7 in byte {byte} of a block of zeros gave other weights than 7 and -1."
    return None


ANY_WIDTH = ("You read blocks of any width, and what comes out of another format looks like weights too. Unless "
             "blocks.shape[1] is 18, raise ValueError with a sentence that says how wide they are.")

EXERCISE = Exercise(
    id="7.4", name="unpack_q4_0", title="Another format of four bits", minutes=20,
    oracle=unpack_q4_0, cases=draw_blocks, refuses=ValueError,
    mistakes=(
        Mistake(unpacks(weights=lambda scale, halves: scale * halves.float()),
                "You take the half-bytes as they are, 0 to 15, so that no weight lies on the other side of 0. 8 stands "
                "for 0: take it off first."),
        Mistake(unpacks(weights=as_bytes),
                "You take 8 off while the numbers are still uint8, which know nothing below 0: 3 - 8 is 251 there. "
                "Make floats of them first: halves.float() - 8."),
        Mistake(unpacks(weights=twos_complement),
                "You read 8 to 15 as -8 to -1, as signed numbers of four bits are stored. Here 8 stands for 0: every "
                "half-byte less 8."),
        Mistake(unpacks(weights=lambda scale, halves: scale * halves.float() - 8),
                "You take 8 off the product. It comes off the half-byte, before the scale: scale * (half - 8)."),
        Mistake(unpacks(weights=lambda scale, halves: scale * (halves.float() - 7.5)),
                "You take 7.5 off, the middle of 0 to 15. In this format 8 stands for 0."),
        Mistake(unpacks(weights=lambda scale, halves: (halves.float() - 8) / scale),
                "You divide by the scale. The writer did that; a reader multiplies."),
        Mistake(unpacks(weights=lambda scale, halves: halves.float() - 8 + 0 * scale),
                "The scale is missing: multiply each block by its own."),
        Mistake(unpacks(weights=lambda scale, halves: around_0(scale[:1], halves)),
                "All blocks get the scale of the first. Each has its own: (n, 1) times (n, 32)."),
        Mistake(unpacks(halves=lambda packed: torch.stack([packed & 15, packed >> 4], dim=2).flatten(1)),
                "You put the two halves of a byte side by side. The low halves of all 16 bytes come first, then the "
                "high ones: torch.cat along dim=1."),
        Mistake(unpacks(halves=lambda packed: torch.cat([packed >> 4, packed & 15], dim=1)),
                "High and low halves are swapped: the low ones, byte & 15, are weights 0 to 15."),
        Mistake(unpacks(halves=lambda packed: torch.stack([packed >> 4, packed & 15], dim=2).flatten(1)),
                "You read each byte as it is printed, the high half and then the low one. All low halves come first, "
                "then all high ones: torch.cat along dim=1."),
        Mistake(unpacks(halves=lambda packed: torch.cat([packed & 15, packed & 0xF0], dim=1)),
                "Your high halves are 16 times too large: after & 0xF0 they still stand in the upper four bits. Shift "
                "them down: packed >> 4."),
        Mistake(unpacks(halves=signed_bytes),
                "Your bytes are int8, and >> keeps the sign of a number: high halves from 8 on become negative. Shift "
                "uint8, or take & 15 afterwards."),
        Mistake(unpacks(packed=lambda blocks: blocks[:, :16], scale=scale_as(torch.float16, slice(16, 18))),
                "You look for the scale at the end of the block. It comes first, two bytes, then 16 bytes of halves."),
        Mistake(unpacks(packed=lambda blocks: blocks[:, :16]),
                "Your half-bytes begin at byte 0, where the scale is. They begin at byte 2."),
        Mistake(unpacks(packed=lambda blocks: blocks),
                "You give 36 weights a block, since the two bytes of the scale are among your half-bytes. These begin "
                "at byte 2."),
        Mistake(unpacks(scale=turned_round),
                "Your scale has its two bytes turned round. The lower one comes first, as this computer has it too: "
                "view(torch.float16) as they lie."),
        Mistake(unpacks(scale=scale_as(torch.bfloat16)),
                "You read the scale as bfloat16. Two bytes may be either, and only the format says which: float16."),
        Mistake(unpacks(scale=scale_as(torch.int16)),
                "You read the scale as a whole number. Its two bytes are a float16: view(torch.float16)."),
        Mistake(unpacks(scale=lambda blocks: blocks[:, :1].float()),
                "You take the first byte for the scale. It is two bytes, which are one float16: view, not float, reads "
                "them so."),
        Mistake(unpacks(scale=lambda blocks: blocks[:, :2].float()),
                "If the sizes do not match: .float() makes two numbers of the two bytes, (n, 2). Read them as one with "
                "view(torch.float16) first, (n, 1)."),
        Mistake(unpacks(halves=lambda packed: torch.cat([packed & 15, packed >> 4])),
                "Without dim=1, torch.cat puts the high halves below the low ones, (2n, 16). They belong beside them: "
                "(n, 32)."),
        Mistake(unpacks(weights=lambda scale, halves: (scale.half() * (halves - 8))),
                "Your weights are float16, and 8 is taken off bytes, which know nothing below 0. Make floats of both "
                "first: scale.float() and halves.float()."),
        Mistake(unpacks(weights=lambda scale, halves: around_0(scale[:, 0], halves)),
                "If the sizes do not match: your scale is (n,), and its n meets the 32 of the halves. Keep it (n, 1), "
                "one number a row."),
        Mistake(unpacks(weights=lambda scale, halves: around_0(scale, halves).half()),
                "Your weights are float16. The scale is stored so; make a float32 of it before you multiply: "
                ".float()."),
        Mistake(unpacks(weights=lambda scale, halves: around_0(scale, halves).flatten()),
                "You put all blocks behind each other. The result keeps them apart: (n, 32)."),
        Mistake(unpacks(check=unchecked, packed=lambda blocks: blocks[:, 2:]), ANY_WIDTH),
        Mistake(unpacks(check=unchecked), ANY_WIDTH),
        Mistake(unpacks(check=asserted),
                "An assert raises AssertionError, and Python leaves it out when it is run with -O. For a wrong "
                "argument raise ValueError."),
    ),
    hints=("A block has three things in it: the scale, 16 low halves, 16 high halves. Which bytes hold each? And what "
           "is 0x9F & 15, what is 0x9F >> 4?",
           "The scale is blocks[:, :2].contiguous().view(torch.float16).float(), (n, 1). With packed = blocks[:, 2:] "
           "the halves are torch.cat([packed & 15, packed >> 4], dim=1). Make floats of them, then take 8 off."),
    properties=(Property("byte i holds weights i and i + 16", misplaces),),
)
