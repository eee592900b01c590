#!/usr/bin/env bash
# One of the demo's five programs, in shell. packaging/demo/README.md says what they do.
set -euo pipefail
[ $# = 4 ] || { echo "usage: demo.sh NAME CHANNEL COUNT PROGRAMS" >&2; exit 2; }
name=$1 channel=$2 count=$3 programs=$4

publish() {  # once somebody says so
    read -r _
    seq -f "$name %.0f" "$count"
}

# Counts messages "NAME NUMBER" by sender, and checks their order.
tally='
    $2 != ++count[$1] { print "demo.sh: expected message " count[$1] " of " $1 ", got \"" $0 "\"" | "cat >&2"; exit bad = 1 }
    END { for (sender in count) print "received", sender, count[sender]; if (!bad) print "done"; exit bad }'

# What fanwire says on stderr: that it is subscribed is for the demo, errors are for people.
notes() {
    while read -r note; do
        case $note in
            "fanwire: subscribed to $channel") echo ready >&3 ;;
            "fanwire: connected" | *" published, 0 failed, "*) ;;
            *) echo "$note" >&2 ;;
        esac
    done
}

exec 3>&1
publish | fanwire sub "$channel" --stdin --count $((count * programs)) --timeout 60 2> >(notes) | awk "$tally"
