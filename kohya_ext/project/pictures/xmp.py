"""Simple values in an XMP packet, the rating first: read them, and change them leaving every other
letter as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree import ElementTree

XMP = "http://ns.adobe.com/xap/1.0/"
MICROSOFT = ("http://ns.microsoft.com/photo/1.0/", "http://ns.microsoft.com/photo/1.0")
"""Windows writes it with the slash, ExifTool without."""

ACDSEE = "http://ns.acdsee.com/iptc/1.0/"
"""ACDSee's own rating, which digiKam writes too; in small letters."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

LARGEST_PACKET_BYTES = 16_000_000

_NEW = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{rdf}">
  <rdf:Description rdf:about="" xmlns:{prefix}="{space}" {prefix}:{name}="{value}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

_RATINGS = ((XMP, "Rating"), (ACDSEE, "rating"), *((one, "Rating") for one in MICROSOFT))
_PERCENTS = {1: 1, 2: 25, 3: 50, 4: 75, 5: 99}
"""Microsoft's own percentages for one to five stars."""


def rating_of_percent(percent: float) -> int:
    """Return the stars that Microsoft's percentage stands for; 0 is unrated."""
    if percent <= 0:
        return int(percent) if percent == -1 else 0
    return min(_PERCENTS, key=lambda stars: abs(_PERCENTS[stars] - percent))


def percent_of_rating(rating: int) -> int:
    """Return Microsoft's percentage for a rating; it has none for "rejected"."""
    return _PERCENTS.get(rating, 0)


def find_rating(packet: bytes) -> int | None:
    """Return the rating in a packet, -1 to 5; None when it has none or cannot be read."""
    stars, percent = _values(packet)
    if stars is not None:
        return stars
    return None if percent is None else rating_of_percent(percent)


def _values(packet: bytes) -> tuple[int | None, float | None]:
    """Return xmp:Rating, or else acdsee:rating, and MicrosoftPhoto:Rating, however written."""
    root = _root(packet)
    if root is None:
        return None, None
    found: dict[str, str] = {}
    for element in root.iter():
        for space, local in _RATINGS:
            name = f"{{{space}}}{local}"
            if name in element.attrib:
                found.setdefault(space, element.attrib[name])
            if element.tag == name and element.text:
                found.setdefault(space, element.text)
    stars = _number(found.get(XMP, found.get(ACDSEE)))
    percent = next((_number(found[one]) for one in MICROSOFT if one in found), None)
    return None if stars is None else max(-1, min(5, round(stars))), percent


def _root(packet: bytes) -> ElementTree.Element | None:
    """Return the packet as a tree; None when it cannot be read, or not safely."""
    from xml.etree import ElementTree

    if len(packet) > LARGEST_PACKET_BYTES:
        return None
    try:
        text = packet.decode(_encoding_of(packet)).lstrip("\ufeff").strip().rstrip("\0").strip()
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return None
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError):
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and -100 <= number <= 100 else None


def _encoding_of(packet: bytes) -> str:
    if packet[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if packet[:2] in (b"<\0", b"\0<"):
        return "utf-16-le" if packet[:1] == b"<" else "utf-16-be"
    return "utf-8"


def new_packet(rating: int) -> bytes:
    """Return a whole packet that says nothing but a rating."""
    return _NEW.format(rdf=RDF, space=XMP, prefix="xmp", name="Rating", value=rating).encode(
        "utf-8"
    )


def with_rating(packet: bytes, rating: int) -> bytes:
    """Return the packet with another rating, all else unchanged, of the same length if it can.

    ValueError when it is no packet that could be changed safely.
    """
    encoding = _encoding_of(packet)
    text = packet.decode(encoding)
    changed = _set(text, XMP, "Rating", str(rating)) or _add(
        text, "xmp", XMP, "Rating", str(rating)
    )
    for space in MICROSOFT:
        changed = _set(changed, space, "Rating", str(percent_of_rating(rating))) or changed
    changed = _set(changed, ACDSEE, "rating", str(max(0, rating))) or changed
    made = _padded(changed, len(text)).encode(encoding)
    if find_rating(made) != rating:
        raise ValueError("its XMP is of a form that cannot be changed safely")
    return made


@dataclass(frozen=True)
class XmpName:
    """A simple property: its namespace, the usual prefix, and its name."""

    space: str
    prefix: str
    name: str


def find_value(packet: bytes, name: XmpName) -> str | None:
    """Return the text of a property; None when it is not there or cannot be read."""
    root = _root(packet)
    wanted = f"{{{name.space}}}{name.name}"
    for element in root.iter() if root is not None else ():
        if wanted in element.attrib:
            return element.attrib[wanted]
        if element.tag == wanted:
            resource = element.attrib.get(f"{{{RDF}}}resource")
            return resource or (element.text or "").strip()
    return None


def with_value(packet: bytes | None, name: XmpName, value: str) -> bytes:
    """Return the packet, or a new one, with a property of this value.

    `value` must need no escapes. ValueError for a packet that cannot be changed safely.
    """
    if packet is None:
        made = _NEW.format(
            rdf=RDF, space=name.space, prefix=name.prefix, name=name.name, value=value
        ).encode("utf-8")
    elif find_value(packet, name) == value:
        return packet
    else:
        encoding = _encoding_of(packet)
        text = packet.decode(encoding)
        changed = _set(text, name.space, name.name, value) or _add(
            text, name.prefix, name.space, name.name, value
        )
        made = _padded(changed, len(text)).encode(encoding)
    if find_value(made, name) != value:
        raise ValueError("its XMP is of a form that cannot be changed safely")
    return made


def _prefixes(text: str, space: str) -> list[str]:
    found = re.findall(rf"xmlns:([\w.-]+)\s*=\s*[\"']{re.escape(space)}[\"']", text)
    return list(dict.fromkeys(found))


def _set(text: str, space: str, local: str, value: str) -> str:
    """Return the text with a property of a namespace set; empty when it is not there."""
    found = False
    for prefix in _prefixes(text, space):
        name = re.escape(f"{prefix}:{local}")
        for pattern in (
            rf"(<{name}(?:\s[^<>]*)?>)[^<]*(</{name}\s*>)",
            rf"((?<=[\s\"']){name}\s*=\s*\")[^\"<]*(\")",
            rf"((?<=[\s\"']){name}\s*=\s*')[^'<]*(')",
        ):
            text, count = re.subn(pattern, rf"\g<1>{value}\g<2>", text)
            found = found or count > 0
    return text if found else ""


def _add(text: str, usual: str, space: str, local: str, value: str) -> str:
    """Add a property to the first rdf:Description, or in one of its own."""
    rdf = _prefixes(text, RDF)
    if not rdf:
        raise ValueError("its XMP has no RDF")
    prefix = re.escape(rdf[0])
    words = f' xmlns:{usual}="{space}" {usual}:{local}="{value}"'
    for match in re.finditer(rf"<{prefix}:Description\b([^<>]*?)(/?)>", text):
        own = re.search(rf"xmlns:{usual}\s*=\s*[\"']([^\"']*)", match[1])
        if own and own[1] != space:
            continue
        added = f' {usual}:{local}="{value}"' if own else words
        return text[: match.end(1)] + added + text[match.end(1) :]
    alone = f'<{rdf[0]}:Description {rdf[0]}:about=""{words}/>'
    changed, count = re.subn(
        rf"(<{prefix}:RDF\b[^<>]*)/>", rf"\g<1>>{alone}</{rdf[0]}:RDF>", text, count=1
    )
    if not count:
        changed, count = re.subn(rf"(</{prefix}:RDF\s*>)", rf"{alone}\g<1>", text, count=1)
    if not count:
        raise ValueError("its XMP has no RDF")
    return changed


def _padded(text: str, length: int) -> str:
    """Take what was added from the padding before the packet's end, or give it back there."""
    end = text.rfind("<?xpacket end")
    if end < 0 or len(text) == length:
        return text
    head, tail = text[:end], text[end:]
    if len(text) < length:
        return head + " " * (length - len(text)) + tail
    blank = len(head) - len(head.rstrip(" \n\r\t"))
    spare = min(len(text) - length, max(0, blank - 1))
    return head[: len(head) - spare] + tail
