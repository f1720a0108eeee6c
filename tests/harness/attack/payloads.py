"""Hostile texts, in the forms that attackers try, and odd spellings of each."""

from __future__ import annotations

from random import Random
from urllib.parse import quote

TAG = "x9q"
"""The name of each element and attribute that an attack brings along, so that none is taken for one of ours."""
MARKUP = (
    f"<{TAG}>",
    f"<script {TAG}>alert(1)</script>",
    f"<img src=x on{TAG}=1>",
    f"<svg on{TAG}=1>",
    f"</title><{TAG}>",
    f'"><{TAG}>',
    f"'><{TAG}>",
    f'" on{TAG}="1',
    f"' on{TAG}='1",
    f"` on{TAG}=`1",
    f"</textarea><{TAG}>",
    f"</script><{TAG}>",
    f"</style><{TAG}>",
    f"--><{TAG}>",
    f"]]><{TAG}>",
    f"<!--<{TAG}>-->",
    f"<![CDATA[<{TAG}>]]>",
    f"{{{{ '<{TAG}>'|safe }}}}",
    f"{{% raw %}}<{TAG}>{{% endraw %}}",
    "${7*7}",
    "{{7*7}}",
    f"<a href=javascript:{TAG}>",
    f"javascript:{TAG}()",
    f"java\tscript:{TAG}()",
    f"data:text/html,<{TAG}>",
    f"//{TAG}.example/",
    f"\\\\{TAG}.example",
    f"<base href=//{TAG}.example>",
    f"<meta http-equiv=refresh {TAG}>",
    f"<iframe srcdoc='<{TAG}>'>",
    f"<{TAG}/on{TAG}=1",
    f"<{TAG.upper()} ON{TAG.upper()}=1>",
    f"<<{TAG}>>",
    f"<\x00{TAG}>",
    f"<{TAG}\x0con{TAG}=1>",
    f"&lt;{TAG}&gt;<{TAG}>",
    f"&#60;{TAG}&#62;",
    f"&#x3c{TAG}>",
    f"\u003c{TAG}\u003e",
    f"+ADw-{TAG}+AD4-",
    f"＜{TAG}＞",
    f"‹{TAG}›",
    f'"autofocus on{TAG}=1 x="',
    f'x" style="{TAG}:1',
    f"<form action=//{TAG}.example><input type=submit>",
    f"</option></select><{TAG}>",
    f"<details open on{TAG}=1>",
    f"<math><mtext><{TAG}>",
    f"<noscript><p title='</noscript><{TAG}>'>",
    f"<style>@import '//{TAG}.example'</style>",
    f"<object data=//{TAG}.example>",
    f"%3C{TAG}%3E",
    f"%253C{TAG}%253E",
    f"\u2028<{TAG}>",
    f"\ufeff<{TAG}>",
    f"\u202e<{TAG}>",
    f"<{TAG} {'a' * 40}",
)
SQL = (
    "'",
    "''",
    '"',
    "`",
    "\\",
    "\\'",
    ";",
    "--",
    "/*",
    "*/",
    "#",
    "%",
    "_",
    "[a-z]",
    "[^x]%",
    "!%",
    "%!",
    "!!%",
    "HD-_",
    "HD-%",
    "' OR '1'='1",
    "' OR 1=1--",
    '" OR ""="',
    "') OR ('1'='1",
    "')) OR 1=1--",
    "' OR TRUE--",
    "1 OR 1=1",
    "1; DROP TABLE SalesInvoices",
    "'; DROP TABLE dbo.SalesInvoices;--",
    "'; DELETE FROM dbo.SaleSync;--",
    "'; UPDATE dbo.SalesInvoices SET status='SYNC_SUCCESS';--",
    "'; INSERT INTO dbo.SaleAction VALUES (1);--",
    "'; EXEC xp_cmdshell('id');--",
    "'; WAITFOR DELAY '0:0:9';--",
    "'; SHUTDOWN;--",
    "' UNION SELECT NULL--",
    "' UNION SELECT password FROM dbo.AccountShop--",
    "' UNION ALL SELECT sql FROM sqlite_master--",
    "' AND 1=0 UNION SELECT 1",
    "'; ATTACH DATABASE '/tmp/x' AS x;--",
    "'; PRAGMA writable_schema=1;--",
    "' || (SELECT 1) || '",
    "' + 'x",
    "'+char(39)+'",
    "' AND (SELECT COUNT(*) FROM SalesInvoices)>0--",
    "' LIKE '%",
    "' ESCAPE '",
    "' ESCAPE '!",
    "x' ESCAPE '",
    "?",
    "??",
    ":1",
    "@p1",
    "$1",
    "{d'2026-01-01'}",
    "{fn now()}",
    "{call x}",
    "%s",
    "%(x)s",
    "{0}",
    "0x27",
    "CHAR(39)",
    "ʼ",
    "＇",
    "’ OR ’1’=’1",
    "\u02b9",
    "N'x'",
    "'\n--",
    "'\r\n;",
    "'\t",
    "1e309",
    "NaN",
    "-1",
    "9" * 60,
    "' " * 20,
    "(" * 40,
    "SELECT",
    "NULL",
    "null",
    "IN (1)",
    "1,2",
    "' GROUP BY 1 HAVING 1=1--",
    "' ORDER BY 99--",
    "' LIMIT 1 OFFSET 0--",
    "'/**/OR/**/1=1",
    "'%20OR%201=1",
    "%27",
    "%2527",
    "\udcff",
)
STEERING = (
    "\x1b[2J",
    "\x1b]0;owned\x07",
    "\x1b]8;;http://x\x1b\\",
    "\x1bc",
    "\x9b2J",
    "\x07",
    "\x08\x08",
    "\r",
    "\n",
    "\r\nOK",
    "\x0b",
    "\x0c",
    "\x00",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\u2069",
    "\u200b",
    "\u200f",
    "\ufeff",
    "\u061c",
    "\x1b[31m",
    "\x1bP",
    "[red]",
    "[/]",
    "[link=http://x]",
    "\\[",
    "{}",
    "%s",
    "\t",
    "\U000e0041",
    "\u00ad",
    "\x90",
    "\x1b[6n",
    "\ud83d",
    "é\u0301" * 9,
)
"""What steers a terminal, a log, or the direction of writing."""


def markup(rng: Random) -> str:
    return _spelt(rng, rng.choice(MARKUP), rng.choice(MARKUP))


def sql(rng: Random, text: str) -> str:
    return _spelt(rng, text, rng.choice(SQL)) if rng.random() < 0.5 else text


def steering(rng: Random, longest: int = 50) -> str:
    parts = [
        rng.choice(STEERING) if rng.random() < 0.5 else rng.choice(("HD", "Ánh", "-1", " ", "x" * 9)) for _ in range(5)
    ]
    return "".join(parts)[:longest] or "HD"


def _spelt(rng: Random, text: str, other: str) -> str:
    match rng.randrange(8):
        case 0:
            return text + other
        case 1:
            return f"HD-1{text}"
        case 2:
            return text.swapcase()
        case 3:
            return f" {text} "
        case 4:
            return quote(text.encode("utf-8", "replace"))
        case 5:
            return text * 3
        case _:
            return text
