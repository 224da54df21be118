"""docs/picture.md: the picture of the recorded run of `make demo`, which GitHub draws, and what the pages hold."""

from __future__ import annotations

from tests.docs.screen import BUNDLE
from tests.support.program import run

_PAGE = """\
# The diagnosis as a picture

```
kubectl lbdoctor ing/web --open              # the page in the browser; without one it says where the file is
kubectl lbdoctor ing/web -o html > web.html  # the same page, to be attached to a ticket
kubectl lbdoctor scan -A -o html > all.html  # a line for each frontend, the worst first, with its picture
kubectl lbdoctor ing/web -o dot | dot -Tsvg > web.svg
kubectl lbdoctor ing/web -o mermaid
kubectl lbdoctor --from case.json.gz -o html # of a bundle, without a cluster
```

The page says first what is wrong, then where on the way it lies, then what to do. What is wrong names the hop and
leads to it; on narrow screens and on paper, where the hop is further down, the command stands there, too. It is one
file below 300 kB that asks for nothing: style and script stand in it, and its Content-Security-Policy admits nothing
else. Without scripts it lacks the buttons that copy commands. It is read on paper, by screen readers, at 320 pixels,
and without colours: each verdict is a word, a sign and a kind of line.

## What is on it

From left to right, or from top to bottom where there is little room: what makes the load balancer (object, controller),
where traffic comes in (clients, load balancer), and for each backend its listener and rule, target group and Service;
then the subnets with targets, each with the filters before it and the nodes and pods in it.

| verdict | line | meaning |
|---|---|---|
| ✓ passes | solid | what was read lets the traffic pass, or an answer came back through it |
| ✗ blocks | thick | a diagnosis lies here: code, sentence, advice and command stand at the first such hop |
| ? unknown | dashed | what would decide it was not read: the permission to add stands there |
| – not reached | dotted | nothing gets here, because of what stands before it |

The filters of the VPC stand in the order of packets and replies: security groups of the load balancer out, its
subnets' network ACL, the route, the targets' network ACL and security groups; then the same for the reply. "Hop by hop"
at the end of the page lists them for each target that is shown, with the entry that decided: the rule of a security
group, the number of an ACL's entry, the route. A filter that looks shut while answers come back passes.

What has nothing wrong is folded to a count. Targets in one subnet that fare alike stand for each other; of many
backends the broken ones come first, and the rest is a line or a number. Below the picture stand the repairs, how to
confirm each diagnosis by hand, the evidence, what is ruled out, what could not be read, and when and where it was read.

`--open` writes a file that its owner alone can read, in the directory for temporary files (TMPDIR), and prints its
name; it stays there, because the browser reads it after the program has ended. Over SSH or without a display nothing is
opened, unless BROWSER names one. Names and addresses of the cluster are on the page: mind whom you send it to.

## An example

The recorded run of `make demo`, as `-o mermaid` prints it:

```mermaid
{mermaid}```
"""


def page() -> str:
    """The whole page."""
    drawn = run("--from", str(BUNDLE), "-o", "mermaid")
    assert drawn.status == 1, drawn.text
    return _PAGE.format(mermaid=drawn.stdout)
