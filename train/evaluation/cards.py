"""Model cards under the headings of Mitchell et al. 2019; every number comes from evaluation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from models import registry

_INTENDED = """\
Research on radiograph triage, software integration and teaching. **Not a medical device**: not for
diagnosis, not for deciding who is tested, treated or sent home, not for children, not for lateral
or portable films of unusual positioning, not for any other disease.
"""

_ETHICS = """\
The films are public and de-identified by their publishers; none is part of this repository. A wrong
"negative" can delay care and a wrong "positive" can cause it; a person must look at every film. The
training films come from a few countries and from publications that favour remarkable cases.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is said about one network besides its numbers."""

    title: str
    details: str
    factors: str
    metrics: str
    caveats: str


LUNGS = Words(
    title="Stage 1: lungs",
    details=(
        "Residual U-Net (MONAI UNet, channels 16 to 256, two residual units), 256 x 256 in, "
        "two channels out: the lungs with the heart left out, and the whole lung field with "
        "the part behind the heart. Later stages see the field, because pneumonia behind the "
        "heart is pneumonia too."
    ),
    factors=(
        "Source of the film and convention of its mask; diseased against mostly healthy lungs."
    ),
    metrics=(
        "Dice, after clean-up, at the threshold of the manifest, each film under its own "
        "convention."
    ),
    caveats=(
        "The aerated outline of quex holds the opacified lung, that of jsrt, wingspan and openist "
        "has hardly an opacity to hold. The field's own masks are of ieee8023 films. A white lung "
        "may still be missed, and so may everything in it: lungs whose outlines differ much are "
        "warned of (`lungs.asymmetry` in `read --json`)."
    ),
)
PNEUMONIA = Words(
    title="Stage 2: pneumonia",
    details=(
        "{backbone} with one logit on the film inside the lungs (with a margin), "
        "standardised by its own mean and deviation, 0 outside. Its class activation map, in the "
        "lung field alone, is H2."
    ),
    factors="Hospital and device (the source), view (AP films are of sicker patients), age.",
    metrics=(
        "AUC; sensitivity and specificity at the shipped threshold. "
        "On the validation films of NIH that radiologists read: `balanced`, the shipped "
        "threshold, has the largest minimum of sensitivity and specificity, as the average over "
        "2000 draws of patients; `sensitive` finds 95 % of the opacities, `specific` leaves 95 % "
        "of the normal films. Bias: least cross-entropy on the same films, both sides weighing the "
        "same. Temperature: the same on them and on quex's validation films, for so few films, by "
        "which the weights were chosen, would make the network too sure. A site's own prevalence "
        "moves both by Bayes' rule. H2 counts as confirmed where the calibrated log odds fall by "
        "0.08 or more (2 points at a probability of 50 %) with its hottest tenth of the lungs "
        "hidden, and further than with as much hidden elsewhere."
    ),
    caveats=(
        "In public data disease and source are entangled: the border ring, which sees no "
        "chest at all, shows by how much. The rows within one source are the ones to believe."
        " Labels are radiologists'; labels mined from report text taught nothing here. Films "
        "with other findings and no opacity were no class of training: many of them are called "
        "ill, and docs/RESULTS.md says how many. The probability speaks of opacities, not of "
        "their cause."
    ),
)
COVID19 = Words(
    title="Stage 3: COVID-19 or another pneumonia",
    details=(
        "{backbone} with one logit on the masked film times H2 (eq. 3 of the paper), "
        "started from stage 2's weights. Its Grad-CAM is H3."
    ),
    factors="Source, and sub-source within ieee8023; view.",
    metrics=(
        "AUC; sensitivity and specificity at the shipped threshold; on all pneumonia films, "
        "whether or not stage 2 passes them. "
        "Threshold: largest minimum of sensitivity and specificity on the validation films of "
        "all sources, each source of each class weighing the same, as the average over 2000 "
        "draws of patients. Temperature and bias: least cross-entropy on the same films, same "
        "weights."
    ),
    caveats=(
        "This is the weakest network. Within ieee8023 there are few other pneumonias to test "
        "on and the interval is wide: unless all of it is above the border ring's figure, nothing "
        "shows that the network reads more than the border does; docs/RESULTS.md asks the same "
        "across the patients of all splits. Over several sources it separates"
        " the sources. Radiographs cannot establish the cause of a pneumonia; a test "
        "can."
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts that are known only after a run."""

    version: str
    history: str  # how these very weights came to be
    digest: str
    operating: str  # threshold and temperature
    evaluation: str  # which films, how many
    training: str  # which films, how many
    results: str  # Markdown
    command: str  # prints the results
    licence: str
    writer: str = "export"  # the command that writes the card


def card(words: Words, facts: Facts) -> str:
    """Return the card as Markdown."""
    sections = {
        "Model details": f"{words.details}\n\nVersion {facts.version}, weights SHA-256 "
        f"`{facts.digest}`.\n\n{facts.history}\n\nLicence: {facts.licence}",
        "Intended use": _INTENDED,
        "Factors": words.factors,
        "Metrics": f"{words.metrics}\n\n{facts.operating}",
        "Evaluation data": facts.evaluation,
        "Training data": facts.training,
        "Quantitative analyses": _quantitative(facts.command, facts.results),
        "Ethical considerations": _ETHICS,
        "Caveats and recommendations": words.caveats,
    }
    body = "\n\n".join(f"## {name}\n\n{text.strip()}" for name, text in sections.items())
    written = f"Written by `python -m train {facts.writer}`; do not edit."
    return f"# {words.title}\n\n{written}\n\n{body}\n"


def rewrite(directory: Path, results: dict[str, str], command: str) -> None:
    """Write newly measured results into the cards of the three networks.

    Parameters
    ----------
    directory
        Models directory.
    results
        Network (lungs, pneumonia, covid19) -> Markdown.
    command
        Prints the results.

    Raises
    ------
    ValueError
        A card has no section for them.
    """
    for name, entry in registry.read_manifest(directory).networks.entries().items():
        path = directory / entry.card
        text = with_results(path.read_text(encoding="utf-8"), command, results[name])
        path.write_text(text, encoding="utf-8")


def with_results(text: str, command: str, results: str) -> str:
    """Return the text of a card with newly measured results and everything else unchanged.

    Parameters
    ----------
    text
        The card.
    command
        Prints the results.
    results
        Markdown.

    Raises
    ------
    ValueError
        The card has no section for them.
    """
    section = f"## Quantitative analyses\n\n{_quantitative(command, results).strip()}\n\n"
    changed, count = re.subn(
        r"## Quantitative analyses\n.*?(?=^## )", lambda _: section, text, flags=re.M | re.S
    )
    if count != 1:
        raise ValueError("The card has no section for quantitative analyses.")
    return changed


def _quantitative(command: str, results: str) -> str:
    return f"`{command}` prints:\n\n{results}"
