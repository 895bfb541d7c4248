"""What Inspect AI loads through its entry point: the provider ``sillok``, and tasks ``sillok/<name>``."""

from sillok.methods.evals.lciteeval import l_citeeval
from sillok.methods.evals.omnidoc import omnidocbench
from sillok.methods.evals.prmbench import prmbench
from sillok.methods.evals.video_arena import video_auto_arena
from sillok.methods.evals.visonlyqa import visonlyqa
from sillok.testbeds.sim_model import sillok

__all__ = ["l_citeeval", "omnidocbench", "prmbench", "sillok", "video_auto_arena", "visonlyqa"]
