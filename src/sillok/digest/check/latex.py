r"""LaTeX of papers as text: "$2.1\times$" is "2.1×", "\mathbf{83.4}" is "83.4", "$\Delta\uparrow$" is "Δ↑"."""

from __future__ import annotations

import re
from dataclasses import replace

from sillok.digest.text import PaperText

_SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
    "Theta": "Θ", "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
    "times": "×", "sim": "~", "approx": "~", "simeq": "~", "pm": "±", "rightarrow": "→", "to": "→", "leftarrow": "←",
    "uparrow": "↑", "downarrow": "↓", "cdot": "·", "dots": "…", "ldots": "…", "log": "log", "ln": "ln",
    "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥",
    "max": "max", "min": "min", "top": "⊤", "infty": "∞", "checkmark": "✓",
}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?")
_WRAPPER = re.compile(
    r"\\(?:text\w*|math(?:bf|rm|sf|it|tt|cal|bb|frak|scr|ds)|bm|boldsymbol|operatorname|emph|underline|overline|mbox"
    r"|widehat|widetilde|hat|tilde|bar|vec)\*?\s*\{([^{}]*)\}"
)
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")


def delatex(text: str) -> str:
    r"""Return a text with its LaTeX written out: figures and letters as they are printed, other commands left out.

    What is neither is kept: "$0.27, from $0.35" are dollars, as Pandoc reads it.
    """
    if "\\" in text:
        text = text.replace(r"\%", "%").replace(r"\$", "＄").replace("{,}", ",")
        for _ in range(3):  # one in the other: \mathbf{\text{Ours}}
            text, wrapped = _WRAPPER.subn(r"\1", text)
            text, divided = _FRACTION.subn(r"\1/\2", text)
            if not wrapped + divided:
                break
        text = re.sub(r"(?<=[0-9])\\,(?=[0-9]{3}(?![0-9]))", ",", text)
        text = re.sub(r"\\[()\[\]|]", "", re.sub(r"\\[,;:! ]", " ", text))
        text = _COMMAND.sub(lambda match: _SIGNS.get(match[1], " "), text)
        text = re.sub(r"\\([#&_{}])", r"\1", text)
        text = re.sub(r"(?<=[_^])\{([^{}]{1,12})\}|\{([=≈~×<>]|[^{}\s]{1,3})\}", r"\1\2", text)
    if "$" in text:
        text = re.sub(r"\$(?=\S)([^$]{1,80})(?<=\S)\$(?![0-9])", r"\1", text)
    return text.replace("＄", "$")


def written_out(text: PaperText) -> PaperText:
    """Return a paper's text with the LaTeX of all its passages and headings written out."""
    passages = (replace(p, text=delatex(p.text), section=delatex(p.section)) for p in text.passages)
    return replace(text, passages=tuple(passages))
