"""What the pages say, in English and Korean."""

from __future__ import annotations

from sillok.web.models import Lang
from sillok.web.words_work import WORK

LANGUAGES: tuple[Lang, ...] = ("en", "ko")
NAMES: dict[Lang, str] = {"en": "English", "ko": "한국어"}

# One line a word: English, Korean.
_WORDS: dict[str, tuple[str, str]] = {
    "tagline": ("What papers claim, and what was measured", "논문의 주장과 실제 측정"),
    "about": (
        "Sillok reads digests of papers and measures their headline claims, with the paper's baseline, several "
        "seeds and intervals. What was not upheld is shown like the rest.",
        "실록은 논문 다이제스트를 읽고 핵심 주장을 논문의 기준선, 여러 시드, 구간으로 측정합니다. "
        "성립하지 않은 결과도 그대로 보여 줍니다.",
    ),
    "today": ("Today", "오늘"),
    "digests": ("Digests", "다이제스트"),
    "families": ("Families", "분야"),
    "machines": ("Machines", "장비"),
    "runs": ("Runs", "실행"),
    "search": ("Search", "검색"),
    "skip": ("Skip to the content", "본문으로 건너뛰기"),
    "main_nav": ("Pages", "메뉴"),
    "language": ("Language", "언어"),
    "theme": ("Colours", "화면 색"),
    "theme_system": ("system", "시스템"),
    "theme_light": ("light", "밝게"),
    "theme_dark": ("dark", "어둡게"),
    "latest": ("Latest digest", "최신 다이제스트"),
    "daily": ("Daily Papers", "데일리 페이퍼"),
    "earlier": ("Earlier digests", "지난 다이제스트"),
    "all_digests": ("All digests", "다이제스트 전체"),
    "whole_digest": ("The whole digest", "다이제스트 전체 보기"),
    "measured_last": ("Measured last", "최근 측정"),
    "papers_n": ("{n} papers", "{n}편"),
    "paper_1": ("1 paper", "1편"),
    "paper_count": ("Papers", "논문"),
    "votes": ("votes", "추천"),
    "vote": ("vote", "추천"),
    "elsewhere": ("elsewhere", "다른 장비"),
    "seeds": ("Seeds", "시드"),
    "no_votes": ("no votes known", "추천 수 없음"),
    "authors": ("Authors", "저자"),
    "and_more": ("and {n} more", "외 {n}명"),
    "own_words": ("Sillok's summary", "실록의 요약"),
    "digest_words": ("The digest's words, not checked here", "다이제스트의 글, 여기서 확인하지 않음"),
    "only_in_en": ("Only in English", "영어로만 있음"),
    "only_in_ko": ("Only in Korean", "한국어로만 있음"),
    "no_summary": ("No summary yet.", "아직 요약이 없습니다."),
    "read_more": ("Read the summary", "요약 읽기"),
    "facts_only": ("Facts only: no claim is measured", "사실만 기록: 측정하는 주장 없음"),
    "not_carded": ("Listed only: no card yet", "목록에만 있음: 카드 없음"),
    "upheld": ("upheld", "성립"),
    "not upheld": ("not upheld", "성립하지 않음"),
    "inconclusive": ("inconclusive", "판단 불가"),
    "out of reach": ("out of reach", "측정 불가"),
    "failed": ("failed", "실패"),
    "open": ("can be measured here", "여기서 측정 가능"),
    "blocked": ("cannot be measured here", "여기서 측정할 수 없음"),
    "rehearsal": ("rehearsal", "리허설"),
    "rehearsal_note": (
        "Measured at scale smoke: a rehearsal of a few seconds, no evidence.",
        "smoke 규모의 측정: 몇 초짜리 리허설이며 증거가 아닙니다.",
    ),
    "claim": ("Claim", "주장"),
    "claims": ("Claims", "주장"),
    "paper_says": ("The paper says", "논문의 수치"),
    "paper_says_note": ("printed by the authors, not measured here", "저자가 인쇄한 값이며 여기서 잰 값이 아님"),
    "checked_source": ("checked at the source", "출처에서 확인함"),
    "unchecked_source": ("not checked at the source", "출처에서 확인하지 않음"),
    "no_figure": ("No figure in print", "인쇄된 수치 없음"),
    "baseline": ("baseline", "기준선"),
    "method": ("method", "방법"),
    "peer": ("peer, not judged", "참고 비교군"),
    "setting": ("Setting", "조건"),
    "measured": ("Measured", "측정값"),
    "measured_by": ("Measured by Sillok", "실록의 측정값"),
    "measured_shipped": ("measured by the project, shipped with Sillok", "프로젝트가 측정해 함께 배포"),
    "measured_record": ("from this record", "이 기록의 측정"),
    "not_measured": ("not measured yet", "아직 측정하지 않음"),
    "not_measured_yet": ("Nobody has measured this claim here yet.", "이 주장은 아직 측정하지 않았습니다."),
    "quantity": ("Quantity", "측정량"),
    "interval_note": (
        "Means over the seeds, with {level} % bootstrap intervals.",
        "시드 평균과 {level}% 부트스트랩 구간.",
    ),
    "why": ("Why", "판정 이유"),
    "finding": ("What the project found", "프로젝트의 해석"),
    "scope": ("What this shows, and what it cannot", "이 측정이 보여 주는 것과 보여 주지 못하는 것"),
    "placebo": ("Placebo: the baseline in every arm", "위약: 모든 갈래에 기준선"),
    "fault": ("Planted fault", "심은 결함"),
    "as_it_must": ("as it must be", "그래야 하는 결과"),
    "trial_broken": ("the trial is broken", "실험이 잘못됨"),
    "every_seed": ("Every seed", "모든 시드"),
    "seed": ("seed", "시드"),
    "mean": ("mean", "평균"),
    "arm": ("arm", "갈래"),
    "arms": ("arms", "갈래"),
    "unit": ("unit", "단위"),
    "better_lower": ("lower is better", "낮을수록 좋음"),
    "better_higher": ("higher is better", "높을수록 좋음"),
    "judged": ("The verdict stands on these", "판정의 근거"),
    "also": ("Also measured", "함께 측정"),
    "more_charts": ("More charts", "그래프 더 보기"),
    "runs_of": ("Runs and logs", "실행과 로그"),
    "repeat": ("Repeat it", "다시 측정하기"),
    "copy": ("Copy", "복사"),
    "copied": ("Copied", "복사됨"),
    "install": ("Install", "설치"),
    "use": ("Use it", "사용법"),
    "host": ("Plugs into", "연결 대상"),
    "methods": ("Methods", "메서드"),
    "differs": ("Differs from the paper", "논문과 다른 점"),
    "checked": ("Checked against", "대조한 것"),
    "links": ("Links", "링크"),
    "abstract": ("arXiv", "arXiv"),
    "pdf": ("PDF", "PDF"),
    "authors_code": ("authors' code", "저자 코드"),
    "no_code": ("the authors published no code that Sillok knows of", "알려진 저자 코드 없음"),
    "licence": ("licence", "라이선스"),
    "cite": ("Cite", "인용"),
    "listed_in": ("Listed in", "실린 다이제스트"),
    "published": ("Published", "발표"),
    "family": ("Family", "분야"),
    "kind": ("Kind", "종류"),
    "summary": ("Summary", "요약"),
    "summary_other": ("In the other language", "다른 언어로"),
    "other_summaries": ("Other summaries", "다른 요약"),
    "pictures": ("Pictures", "그림"),
    "compare": ("Compare", "비교"),
    "compare_on": ("On the testbed {name}", "테스트베드 {name}에서"),
    "compare_none": ("Each on a problem of its own", "각자의 문제에서"),
    "no_compare": ("No claim of this family is measured yet.", "이 분야의 주장은 아직 측정하지 않았습니다."),
    "all_papers": ("All papers", "논문 전체"),
    "newest": ("newest first", "최신순"),
    "older": ("Older", "이전"),
    "newer": ("Newer", "다음"),
    "next_page": ("Next page", "다음 쪽"),
    "previous_page": ("Previous page", "이전 쪽"),
    "entries_from": ("Entries from {n}", "{n}번째부터"),
    "query": ("Words", "검색어"),
    "query_hint": ("Title, author, summary or arXiv id", "제목, 저자, 요약, arXiv 번호"),
    "any": ("any", "전체"),
    "verdict": ("Verdict", "판정"),
    "needs": ("Needs", "필요한 것"),
    "since": ("From", "시작일"),
    "until": ("To", "종료일"),
    "filters": ("Filters", "조건"),
    "show": ("Show", "보기"),
    "found": ("{n} found", "{n}편 찾음"),
    "found_more": ("{n} found on this page, and more", "이 쪽에 {n}편, 더 있음"),
    "nothing_found": ("Nothing found. Fewer words find more.", "찾은 것이 없습니다. 검색어를 줄여 보세요."),
    "search_intro": (
        "Every word must be found in the title, the authors or the summary.",
        "모든 낱말이 제목, 저자, 요약 가운데 있어야 합니다.",
    ),
    "search_script": (
        "This copy of the site searches in your browser, which needs JavaScript.",
        "이 사본은 브라우저 안에서 검색하므로 자바스크립트가 필요합니다.",
    ),
    "upheld_where": ("What upheld where", "어디에서 무엇이 성립했나"),
    "no_machine": ("No machine has measured anything yet.", "아직 측정한 장비가 없습니다."),
    "machine": ("Machine", "장비"),
    "cores": ("cores", "코어"),
    "verdicts": ("Verdicts", "판정"),
    "no_verdicts": ("no verdicts", "판정 없음"),
    "run": ("Run", "실행"),
    "state": ("State", "상태"),
    "done": ("done", "완료"),
    "scale": ("Scale", "규모"),
    "mode": ("Mode", "방식"),
    "mode_trial": ("trial", "본 실험"),
    "mode_placebo": ("placebo", "위약"),
    "mode_fault": ("planted fault", "심은 결함"),
    "started": ("Started", "시작"),
    "duration": ("Time", "시간"),
    "measures": ("Measures", "측정값"),
    "value": ("value", "값"),
    "curves": ("Curves", "곡선"),
    "fingerprint": ("Fingerprint", "환경 지문"),
    "log": ("Log", "로그"),
    "log_empty": ("The run printed nothing.", "출력이 없습니다."),
    "no_runs": ("No runs yet.", "아직 실행이 없습니다."),
    "read_only": (
        "This page only shows. Runs are started on the command line.",
        "이 페이지는 보여 주기만 합니다. 실행은 명령줄에서 시작합니다.",
    ),
    "no_digest": ("No digest was read yet.", "아직 읽은 다이제스트가 없습니다."),
    "from_cards": (
        "This day is known from Sillok's cards. Read its file to see the digest's own words:",
        "실록의 카드로 아는 날짜입니다. 다이제스트의 글을 보려면 파일을 읽으세요:",
    ),
    "source": ("Source", "출처"),
    "undated": ("undated", "날짜 없음"),
    "feed": ("Atom feed", "Atom 피드"),
    "feeds": ("Feeds", "피드"),
    "api": ("JSON", "JSON"),
    "not_found": ("There is no such page", "없는 페이지입니다"),
    "bad_request": ("That address is not understood", "주소를 이해할 수 없습니다"),
    "broken": ("Something went wrong here", "문제가 생겼습니다"),
    "unavailable": ("The record cannot be read", "기록을 읽을 수 없습니다"),
    "back_home": ("To the front page", "첫 페이지로"),
    "footer": ("Figures in boxes with a seal were measured; the rest is what papers and digests say.",
               "도장이 찍힌 상자의 수치만 측정값이고, 나머지는 논문과 다이제스트의 말입니다."),
}  # fmt: skip


# What Sillok's own summaries are divided into, and what a machine or a run's fingerprint tells, in Korean.
_SECTIONS = {"What's New": "새로운 점", "Technical Details": "기술 내용", "Performance Highlights": "성능"}
_FACTS = {
    "cpu": ("Processor", "프로세서"),
    "cores": ("Cores", "코어"),
    "memory_gb": ("Memory (GB)", "메모리(GB)"),
    "gpu": ("GPU", "GPU"),
    "arch": ("Architecture", "아키텍처"),
    "system": ("System", "운영체제"),
    "device": ("Device", "연산 장치"),
    "release": ("Release", "커널"),
    "commit": ("Commit", "커밋"),
    "threads": ("Threads", "스레드"),
    "python": ("Python", "파이썬"),
}


def section(name: str, lang: Lang) -> str:
    """The name of a section of Sillok's own summary."""
    return _SECTIONS.get(name, name) if lang == "ko" else name


class Words:
    """The words of one language: `words.today`, `words["not upheld"]`, `words.say("found", n=3)`."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        self._words = {name: pair[LANGUAGES.index(lang)] for name, pair in (_WORDS | WORK).items()}

    def __getitem__(self, name: str) -> str:
        return self._words[name]

    def __getattr__(self, name: str) -> str:
        try:
            return self._words[name]
        except KeyError:
            raise AttributeError(name) from None

    def papers_count(self, n: int) -> str:
        """How many papers."""
        return self._words["paper_1"] if n == 1 else self.say("papers_n", n=f"{n:,}")

    def fact(self, name: str) -> str:
        """What a property of a machine or a run is called."""
        known = _FACTS.get(name)
        return known[LANGUAGES.index(self.lang)] if known else name.replace("_", " ")

    def say(self, name: str, /, **values: object) -> str:
        """A sentence with values in it."""
        return self._words[name].format(**values)


WORDS: dict[Lang, Words] = {lang: Words(lang) for lang in LANGUAGES}


def preferred(accepted: str) -> Lang:
    """The language that an Accept-Language header prefers; English where it names neither."""
    best: tuple[float, Lang] = (0.0, "en")
    for part in accepted[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        for lang in LANGUAGES:
            if tag.split("-")[0].lower() == lang and quality > best[0]:
                best = (quality, lang)
    return best[1]
