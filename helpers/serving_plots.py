"""A picture of batching: who sat in which slot, and when.

    slots({"Static": serve(model, prompts, 60, continuous=False), "Continuous": serve(model, prompts, 60)})
"""
from collections.abc import Mapping

from matplotlib.ticker import MaxNLocator

from helpers.plots import ACCENT, INK, TINTS, Picture, in_style, new_figure, picture
from helpers.serving import Service

LOOKS = (ACCENT, "white"), (TINTS[1], INK)                  # a dark bar and a pale one, each with its ink
ROWS = 24                                                   # slots that fit into a picture
INCHES = 8.0                                                # that all steps together are wide


@in_style
def slots(timelines: Mapping[str, Service]) -> Picture:
    """A panel for each way of serving: its slots as rows, the steps from left to right, each request a numbered bar.

    timelines: name -> what `serving.serve` returned. A bar too narrow for its number has none; the words have them all.
    Raises ValueError for no service, and for more than 24 slots in all.
    """
    rows = sum(service.slots for service in timelines.values())
    if not 1 <= rows <= ROWS:
        raise ValueError(f"timelines holds {len(timelines)} services with {rows} slots in all; give 1 to {ROWS} slots.")
    figure, *areas = new_figure(INCHES + 1, *(0.75 + 0.28 * service.slots for service in timelines.values()))
    end = 1 + max(stay.last_step for service in timelines.values() for stay in service.timeline)
    words = []
    for area, (name, service) in zip(areas, timelines.items(), strict=True):
        title = f"{name}: {service.steps} steps, {100 * service.utilisation:.0f} % of the slots in use"
        said = []
        for slot in range(service.slots):
            stays = sorted((stay for stay in service.timeline if stay.slot == slot), key=lambda stay: stay.first_step)
            for number, stay in enumerate(stays):
                colour, ink = LOOKS[number % 2]
                length = stay.last_step + 1 - stay.first_step
                area.barh(slot, length, left=stay.first_step, height=0.8, color=colour, edgecolor=INK, linewidth=0.6)
                if length * INCHES / end > 0.1 * len(str(stay.request)):
                    area.text(stay.first_step + length / 2, slot, str(stay.request), ha="center", va="center_baseline",
                              fontsize=8.5, color=ink)
            held = ", ".join(f"{stay.request} in {stay.first_step} to {stay.last_step}" for stay in stays)
            said.append(f"slot {slot}: {held or 'nobody'}")
        area.set(title=title, ylabel="slot", xlim=(0, end), ylim=(service.slots - 0.4, -0.6))
        area.set_yticks(range(service.slots))
        area.xaxis.set_major_locator(MaxNLocator(integer=True))
        words.append(f"{title}. Requests and their steps: {'; '.join(said)}.")
    areas[-1].set_xlabel("step")
    return picture(figure, " ".join(words))
