"""`fleet package`: the zip for the Lambda function."""

from __future__ import annotations

import shlex

import click

from ... import __version__
from ..app import App


@click.command("package")
@click.option("--out", default="rotate-my-key-fleet.zip", show_default=True, metavar="FILE", help="Where to write it.")
@click.option("--apprise", is_flag=True, help="With apprise: Telegram, Slack, Teams, webhooks and more.")
@click.option("--with-botocore", is_flag=True, help="With botocore, instead of the one in Lambda's runtime.")
@click.option("--include", multiple=True, metavar="PATH", help="Your own file or folder: it is in files/ there.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def command(app: App, /, out: str, apprise: bool, with_botocore: bool, include: tuple[str, ...], as_json: bool) -> None:
    """Build the zip for the Lambda function, from what is installed here.

    It has no compiled part, so it runs on arm64 and on x86_64. Made twice from the same versions it has the same bytes.
    """
    from ...fleet.package import build, store

    with app.waiting("packing"):
        package = build(__version__, apprise=apprise, botocore=with_botocore, include=include)
        store(package, out)
    if as_json:
        app.json(
            {
                "path": out,
                "size": len(package.data),
                "unpacked": package.unpacked,
                "sha256": package.sha256,
                "key": package.name,
                "parts": list(package.parts),
            }
        )
        return
    app.say(f"has {', '.join(package.parts)}")
    app.out(f"{out}  {len(package.data)} bytes ({package.unpacked} unpacked)  sha256 {package.sha256}")
    app.say(
        "next:\n"
        f"  aws s3 cp {shlex.quote(out)} s3://BUCKET/{package.name}\n"
        "  rotate-my-key fleet template > fleet.yaml\n"
        "  aws cloudformation deploy --stack-name rotate-my-key-fleet --template-file fleet.yaml "
        f"--capabilities CAPABILITY_IAM --parameter-overrides CodeBucket=BUCKET CodeKey={package.name}"
    )
