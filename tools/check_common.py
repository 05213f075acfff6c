"""What the checks share: the list of our source files and how findings are reported."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Everything of ours that is compiled or checked lies below these.
SOURCE_FOLDERS = ("core", "ports", "store", "server", "worker", "bench", "tests")
SKIPPED_FOLDERS = {"node_modules", "build", "data", ".git", "__pycache__"}


class Findings:
    """Collects findings and prints them as `file:line: message`."""

    def __init__(self):
        self.items = []

    def add(self, path, line, message):
        self.items.append((path, line, message))

    def report(self, name):
        for path, line, message in sorted(self.items):
            print(f"{path}:{line}: {message}")
        if self.items:
            print(f"{name}: {len(self.items)} findings", file=sys.stderr)
            return 1
        return 0


def files_below(root, folders, extensions):
    """Paths relative to `root` of all files with these extensions, sorted."""
    found = []
    for folder in folders:
        for directory, names, files in os.walk(os.path.join(root, folder)):
            names[:] = sorted(n for n in names if n not in SKIPPED_FOLDERS)
            for file in sorted(files):
                if file.endswith(extensions):
                    found.append(os.path.relpath(os.path.join(directory, file), root))
    return found


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def strip_comments_and_strings(text):
    """The C++ text with comments and literals blanked out; line numbers stay as they are."""
    out = []
    i, n = 0, len(text)
    while i < n:
        two = text[i : i + 2]
        if two == "//":
            end = text.find("\n", i)
            i = n if end < 0 else end
        elif two == "/*":
            end = text.find("*/", i)
            end = n if end < 0 else end + 2
            out.append("\n" * text.count("\n", i, end))
            i = end
        elif two == 'R"':
            open_paren = text.find("(", i)
            close = ")" + text[i + 2 : open_paren] + '"'
            end = text.find(close, open_paren)
            end = n if end < 0 else end + len(close)
            out.append('""' + "\n" * text.count("\n", i, end))
            i = end
        elif text[i] == '"' or (text[i] == "'" and not (i and text[i - 1].isalnum())):
            quote = text[i]
            i += 1
            while i < n and text[i] != quote and text[i] != "\n":
                i += 2 if text[i] == "\\" else 1
            out.append(quote * 2)
            i += 1
        else:
            out.append(text[i])
            i += 1
    return "".join(out)
