"""What rules of users cost: instructions of a GET that they allow, beside one of a user who may do everything. Ours beside ours."""

import instructions
import limits

# The rules of the user that everybody is at first, with the operation whose keys they allow.
RULES = {
    "a pattern": ("GET", "~key:* &* +@all"),
    "three patterns, categories": ("GET", "~session:* ~cache:* ~key:* &* -@all +@read +@write +@connection +@admin +@slow"),
    "a longer pattern": ("GET", "~key:00000000* &* +@all"),
    "a pattern with a star within": ("GET of a field", "~key:*:name %W~key:* &* +@all"),
    "selectors": ("GET", "&* -@all +@connection +@admin +@slow -get -set (~app:* +@write +@read) (%R~key:* +@read) (~key:* +set)"),
}


def measure(setup):
    """Rows of the table."""
    free = {}
    for name, (operation, words) in RULES.items():
        what = f"GET with rules: {name}, instructions"
        if not setup.wants(what):
            continue
        if operation not in free:
            free[operation] = instructions.per_request(setup, "ours", operation)
        ruled = instructions.per_request(setup, "ours", operation, options=["--user", "default", "on", "nopass", *words.split()])
        yield {
            "what": what,
            "ours": ruled,
            "beside": free[operation],
            "ratio": ruled / free[operation],
            "limit": limits.RULES,
            "within": round(ruled / free[operation], 3) <= limits.RULES,
        }
