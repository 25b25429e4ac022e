# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules that keep a target safe (uffdctl(1), SAFETY). A test names the one that it holds: @test(name, rule=...)."""

RULES = {
    "identified-once": "A target is identified once: a recycled PID is never touched, and an exec is noticed.",
    "keeps-modes": "register keeps the modes that a range has.",
    "warns-of-own-memory": "register warns where a range holds what the process's own handler may need.",
    "only-the-owner": "A range is resolved only through the userfaultfd that owns it.",
    "marks-survive": "Write-protect marks survive continue.",
    "unregister-wakes": "unregister wakes whoever still waits.",
    "mapped-is-left-alone": "--from writes a page only when it is not mapped in the range, and once.",
    "elsewhere": "A page that is mapped elsewhere is written or continued only when the user says so.",
    "no-false-fill": "Never is a fill that did not happen reported as done.",
    "not-beside-a-reader": "--from is refused, or stops, while another process reads the messages.",
    "exclusive": "Commands that change the same memory exclude each other.",
    "whole-pages": "Contents are in our own memory before a page is made, and a page enters the page cache whole.",
    "governs": "A userfaultfd is used on a process only where it is shown that it governs that process's memory.",
    "nothing-stalls-us": "No file of a target's hangs us, kills us or eats memory.",
    "unknown-is-unknown": "What is not known is printed as not known.",
    "blocked-is-said": "Whatever would leave a thread blocked is said before it is done.",
    "looking-changes-nothing": "watch, list, pending, smaps, pages, peek and doctor change nothing, and take no message.",
    "untrusted-names": "Names that come from a target are escaped in every output.",
}
