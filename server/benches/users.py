"""What rules of users cost: instructions of a GET that they allow, beside one of a user who may do everything. Ours beside ours."""

import instructions
import limits

# The rules of the user that everybody is at first; keys begin with `key:`.
RULES = {
    "a pattern": "~key:* &* +@all",
    "three patterns, categories": "~session:* ~cache:* ~key:* &* -@all +@read +@write +@connection +@admin +@slow",
    "a longer pattern": "~key:00000000* &* +@all",
    "selectors": "&* -@all +@connection +@admin +@slow -get -set (~app:* +@write +@read) (%R~key:* +@read) (~key:* +set)",
}


def measure(setup):
    """Rows of the table."""
    free = None
    for name, words in RULES.items():
        what = f"GET with rules: {name}, instructions"
        if not setup.wants(what):
            continue
        free = free or instructions.per_request(setup, "ours", "GET")
        ruled = instructions.per_request(setup, "ours", "GET", options=["--user", "default", "on", "nopass", *words.split()])
        yield {
            "what": what,
            "ours": ruled,
            "beside": free,
            "ratio": ruled / free,
            "limit": limits.RULES,
            "within": round(ruled / free, 3) <= limits.RULES,
        }
