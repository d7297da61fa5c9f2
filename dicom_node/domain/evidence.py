"""What verdicts say of a version that may replace the one in use, in both stages.

A stage with another network must prove itself, which few verdicts cannot do. Stage 3 with the same
network may have become worse, for it sees the film times stage 2's heatmap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_node.domain.paired import LEAST, compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dicom_node.domain.paired import Change, Comparison, Pair
    from dicom_node.domain.reading import Stage

#: A stage is not worse if both intervals stay above minus this: AUC, and the mean of sensitivity
#: and specificity. It has gained if one of them stays above 0.
MARGIN = 0.05

_NAMES: Mapping[Stage, str] = {"pneumonia": "stage 2", "covid19": "stage 3"}
_STAGE_2: frozenset[Stage] = frozenset({"pneumonia"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Studies that two versions have read."""

    pneumonia: Sequence[Pair] = ()
    covid19: Sequence[Pair] = ()  # those in which stage 3 of both ran
    changed: frozenset[Stage] = _STAGE_2  # stages whose networks differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two versions compared in both stages."""

    stages: Mapping[Stage, Comparison]
    changed: frozenset[Stage] = _STAGE_2  # stages whose networks differ

    def as_json(self) -> dict[str, Any]:
        """Stage 2's comparison in plain JSON values, and that of stage 3 as ``covid19``."""
        return {
            **self.stages["pneumonia"].as_json(),
            "covid19": self.stages["covid19"].as_json(),
            "changed": sorted(self.changed),
        }


def weigh(pairs: Pairs) -> Evidence:
    """Compare two versions on the same studies, stage by stage."""
    stages: dict[Stage, Comparison] = {
        "pneumonia": compare(pairs.pneumonia),
        "covid19": compare(pairs.covid19),
    }
    return Evidence(stages=stages, changed=pairs.changed)


def objections(found: Evidence) -> list[str]:
    """Why the other version must not replace the one in use; empty if nothing speaks against it.

    It must be shown to be better in one stage, by AUC or by the mean of sensitivity and
    specificity, and worse in neither.
    """
    against, shown, gained = [], [], False
    for stage, one in found.stages.items():
        name = _NAMES[stage]
        if not one.is_enough and stage in found.changed:
            against.append(
                f"{name}: too few to say: {one.ill} ill and {one.well} other studies with a "
                f"verdict, at least {LEAST} of each are needed"
            )
        for figure, change in _figures(one).items():
            shown.append(f"{name}: {figure} {change}")
            gained = gained or change.low > 0
            if change.low < -MARGIN:
                against.append(f"{name}: {figure} may fall by more than {MARGIN}: {change}")
    if not against and not gained:
        return [f"no gain was shown: {'; '.join(shown)}"]
    return against


def _figures(found: Comparison) -> dict[str, Change]:
    """What decides, if there are enough verdicts."""
    figures = {"AUC": found.auc, "the mean of sensitivity and specificity": found.balanced}
    return {name: change for name, change in figures.items() if change is not None}
