"""A simulator of the national pharmacy API: a process of its own, with a ledger of what it accepted.

It plays the published interface and what was seen in the field, misbehaves by order (`faults`), and is
steered over `/_control/` (`control.Control`). It shares no code with the pipeline that it tests.
"""
