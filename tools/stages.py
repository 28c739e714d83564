"""Make the Storyteller's stages that ship with the course: `python3 course.py stages` (some minutes).

    helpers/stages/tokenizer.json  base.safetensors  instructed.safetensors  scores.json
    helpers/stages/reward.safetensors  value.safetensors  preferred.safetensors           (--preferred: these alone)

The recipes are `helpers.storyteller` and `helpers.preference_runs`, which the lessons use too. A training of the first
line that is stopped goes on where it was; the second begins with what ships as "instructed".
"""
import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from helpers import checkpoints, preference_runs, storyteller, tales
from helpers.corpora import tales as tell
from helpers.pretrained import REWARDS, STAGES
from helpers.reward import RewardModel
from helpers.training import evaluate, train


def make(folder: Path, work: Path, shorter: int = 1) -> dict[str, dict[str, float]]:
    """Train tokenizer, base and instructed, write them to a folder, and return their scores.

    work: where checkpoints go. shorter: divides steps and texts, for a test.
    """
    tokenizer = storyteller.train_tokenizer()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder / "tokenizer.json")
    held_out = tell(storyteller.HELD_OUT // shorter, seed=2, split="held_out")
    model, scores = storyteller.new_model(tokenizer), {}
    requests = 3 * storyteller.REQUESTS // shorter
    answers = storyteller.instruction_data(tokenizer, requests)
    deciding = storyteller.deciding_data(tokenizer, 3 * requests)
    trainings = {"base": [(storyteller.BASE, storyteller.base_data(tokenizer, 3 * storyteller.STORIES // shorter))],
                 "instructed": [(storyteller.DECIDING, deciding),
                                (storyteller.BOTH, storyteller.both(answers, deciding))]}
    for stage, parts in trainings.items():
        for number, (config, data) in enumerate(parts):
            config = replace(config, steps=storyteller.SHIPPED * config.steps // shorter,
                             warmup=config.warmup // shorter)
            train(model, data, config, folder=work / f"{stage}_{number}")
        checkpoints.save_model(model, folder / f"{stage}.safetensors", torch.float16)
        shipped = checkpoints.load_model(folder / f"{stage}.safetensors")       # what learners get: rounded
        scores[stage] = score(shipped, tokenizer, held_out)
        print(stage, scores[stage], flush=True)
    write(folder, scores)
    return scores


def make_preferred(folder: Path, shorter: int = 1) -> dict[str, float]:
    """Train reward model, value model and the preferred stage on what ships as "instructed", write them to a folder,
    and return the score of the last. shorter: divides pairs, steps and answers, for a test.
    """
    pairs = preference_runs.ranked(preference_runs.written(preference_runs.PAIRS // shorter))
    reward = preference_runs.fitted_reward(pairs)
    few = max(1, preference_runs.VALUE.steps // shorter)
    value = preference_runs.fitted_value(reward, pairs, replace(preference_runs.VALUE, steps=few))
    for name, each in zip(REWARDS, (reward, value), strict=True):
        checkpoints.save_model(each, folder / f"{name}.safetensors", torch.float16)
    reward, value = (checkpoints.load_model(folder / f"{name}.safetensors", make=RewardModel.new) for name in REWARDS)
    usual = preference_runs.PPO
    model, _ = preference_runs.tuned_by_ppo(reward, value, replace(
        usual, steps=max(1, usual.steps // shorter), batch=max(2, usual.batch // shorter)))
    checkpoints.save_model(model, folder / "preferred.safetensors", torch.float16)
    shipped = checkpoints.load_model(folder / "preferred.safetensors")
    found = preference_runs.judged(shipped, storyteller.HELD_OUT // shorter)
    found = {name: round(value, 4) for name, value in found.items()}
    print("preferred", found, flush=True)
    return found


def write(folder: Path, scores: dict[str, dict[str, float]]) -> None:
    """Put scores into the folder's file, beside those that are there."""
    file = folder / "scores.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps(before | scores, indent=1) + "\n", encoding="utf-8", newline="\n")


def score(model, tokenizer, held_out: list[tales.Tale]) -> dict[str, float]:
    """Loss a token on held-out stories; shares of held-out openings gone on with well, and of requests followed."""
    told = storyteller.fluency(model, tokenizer, held_out)
    prompts = [storyteller.request_ids(tokenizer, tale.request.text) for tale in held_out]
    answers = storyteller.write(model, tokenizer, prompts)
    followed = [tales.follows(tale.request, answer) for tale, answer in zip(held_out, answers, strict=True)]
    return {"loss": round(evaluate(model, storyteller.story_data(tokenizer, held_out)), 4),
            "consistent": round(sum(one.ok for one in told) / len(told), 4),
            "follows": round(sum(one.ok for one in followed) / len(followed), 4)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="course.py stages", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="keep the checkpoints here, to go on after a stop")
    parser.add_argument("--preferred", action="store_true", help="make only what follows the instructed stage")
    options = parser.parse_args(arguments)
    if not options.preferred:
        with tempfile.TemporaryDirectory() as temporary:
            make(STAGES, options.work or Path(temporary))
    write(STAGES, {"preferred": make_preferred(STAGES)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
