"""What the tests' record holds: invented papers, a digest in Korean, and a digest that attacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, Phase, settings

from sillok.record import StoredRun, StoredVerdict

#: How schemathesis calls an operation: the same cases each time.
CALLS = settings(
    max_examples=10,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
KOREAN = "2502.00001"
ENGLISH = "2502.00002"
DIGEST = f"""## Daily Papers (2025-02-03)

### [Trees of tokens for small models](https://arxiv.org/abs/{KOREAN})

![](https://pictures.example.org/tree.png)

Vote: 17

Authors: Ada Birch, 김나무

- ***What's New***: 이 논문은 작은 모델을 위한 **나무 구조** 토큰을 제안합니다. 추론이 2.5배 빨라집니다.
- ***Technical Details***: 토큰을 나무로 묶어 한 번에 예측합니다.

### [DeMo: Decoupled Momentum Optimization](https://arxiv.org/abs/2411.19870)

Vote: 5

Authors: Bowen Peng

- ***What's New***: 작업자들이 모멘텀의 일부만 주고받습니다.

### [A page without a paper](https://example.org/)

Vote: -

- ***What's New***: 논문이 아닌 링크입니다.
"""
HOSTILE = f"""## Daily Papers (2025-02-04)

### [<script>alert(1)</script> and "quotes" & more](https://arxiv.org/abs/{ENGLISH})

![](https://pictures.example.org/x.png)

Vote: 3

Authors: <img src=x onerror=alert(2)>

- ***What's New***: <script>alert(3)</script> <img src="https://evil.example.org/p.png"> [click](javascript:alert(4)) \
![pixel](https://evil.example.org/q.png) and a [link](https://example.org/a?b=1&c=2). The words of this text \
are English.
- ***Technical Details***: # Not a heading of the page

  <style>body {{ display: none }}</style> `code` and **bold**.
"""
START = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
TRIAL = "sillok.trials.optim.demo.traffic"
DECLARATION = {
    "title": "Bytes and loss.",
    "arms": ["adamw", "demo"],
    "peers": [],
    "measures": {
        "loss": {"unit": "nats", "better": "lower", "text": "test loss <b>"},
        "bytes": {"unit": "B/step", "better": "lower", "text": ""},
    },
    "needs": {"here": ["optim"]},
    "fault": "the residual is dropped",
    "interleave": None,
}


def runs() -> list[StoredRun]:
    """Two arms, three seeds of DeMo on machine m1, and a run that failed."""
    found = []
    for arm, loss, size in (("adamw", 2.0, 1000.0), ("demo", 2.01, 10.0)):
        for seed in range(3):
            found.append(a_run(arm, seed, {"loss": loss + seed / 100, "bytes": size}))
    found.append(a_run("demo", 9, {}, state="failed", reason="killed <b>here</b>", mode="fault"))
    return found


def a_run(
    arm: str,
    seed: int,
    measures: dict[str, float],
    *,
    state: str = "done",
    reason: str | None = None,
    mode: str = "trial",
) -> StoredRun:
    curve = {
        "name": "training loss",
        "series": "",
        "x": "step",
        "y": "nats",
        "log": "",
        "points": [[1, 5.0], [2, 3.0]],
    }
    return StoredRun(
        id=f"{arm}-{seed}-{mode}",
        paper="2411.19870",
        claim="traffic",
        trial=TRIAL,
        version=1,
        arm=arm,
        seed=seed,
        scale="here",
        mode=mode,
        state=state,
        measures=measures,
        units={"loss": "nats", "bytes": "B/step"} if measures else {},
        curves=[curve] if measures else [],
        fingerprint={"sillok": "0.1.0", "torch": None},
        reason=reason,
        log="step 1\n<script>alert('log')</script>\n",
        started=START + timedelta(minutes=seed),
        seconds=61.0,
        machine="m1",
    )


def verdicts() -> list[StoredVerdict]:
    """DeMo upheld on m1 with its controls, and a verdict on a paper that has no card."""
    interval = {"low": 0.0099, "mean": 0.01, "high": 0.0101, "n": 3, "level": 0.95}
    one = {"bytes, demo / adamw": interval, "loss, demo / adamw": {"low": 1.001, "mean": 1.005, "high": 1.01}}
    return [
        a_verdict("upheld", intervals=one),
        a_verdict("not upheld", mode="placebo"),
        a_verdict("upheld", mode="fault"),
        a_verdict("out of reach", paper=KOREAN, claim="speed", reason="needs a CUDA GPU", seeds=[]),
    ]


def a_verdict(
    verdict: str,
    *,
    mode: str = "trial",
    paper: str = "2411.19870",
    claim: str = "traffic",
    reason: str = "bytes <= 0.02: yes",
    intervals: dict[str, dict[str, float]] | None = None,
    seeds: list[int] | None = None,
) -> StoredVerdict:
    return StoredVerdict(
        paper=paper,
        claim=claim,
        trial=TRIAL,
        version=1,
        scale="here",
        mode=mode,
        machine="m1",
        verdict=verdict,
        reason=reason,
        intervals=intervals or {},
        seeds=[0, 1, 2] if seeds is None else seeds,
        declaration=DECLARATION,
        decided=START + timedelta(hours=1),
    )
