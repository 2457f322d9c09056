"""What rules of users cost: instructions of a GET that they allow, beside one of a user who may do everything. Ours beside ours."""

import instructions
import limits

# The rules of the user that everybody is at first, with the operation whose keys they allow. Any key may be written, so that they can be there;
# what may be written is looked up apart. Keys by their names are not among these, as what one key costs depends on its hash: docs/performance.md has them.
ALL = "&* +@all"
READ = f"%W~* {ALL}"
RULES = {
    "a pattern": ("GET", f"~key:* {ALL}"),
    "three patterns, categories": ("GET", "~session:* ~cache:* ~key:* &* -@all +@read +@write +@connection +@admin +@slow"),
    "a longer pattern": ("GET", f"~key:00000000* {ALL}"),
    "selectors": ("GET", "&* -@all +@connection +@admin +@slow -get -set (~app:* +@write +@read) (%R~key:* +@read) (~key:* +set)"),
    "a star within": ("GET of a field", f"~key:*:name {READ}"),
    "a star within, no such key": ("GET of nothing", f"~none:*:name {READ}"),
    "two stars": ("GET of a part", f"~key:*:parts:* {READ}"),
    "a tail of 13 bytes": ("GET of a tail", f"~key:*:emailaddress {READ}"),
    "a prefix of 25 bytes": ("GET of 25 bytes", f"~company:service:sessions:* {READ}"),
    "a prefix of 40 bytes": ("GET of 40 bytes", f"~company:department:service:sessions:all:* {READ}"),
    "two patterns in turn": ("GET of two", f"~app:* ~cache:* {READ}"),
    "four patterns in turn": ("GET of four", f"~app:* ~cache:* ~session:* ~company:service:sessions:* {READ}"),
    "two commands in turn": ("GET and SET", f"~key:* {ALL}"),
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
