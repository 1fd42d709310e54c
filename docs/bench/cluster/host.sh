#!/bin/bash
# Starts a command on one of the hosts that link.py makes, as ssh would on a host of one's own: host.sh ADDRESS COMMAND...
host=h${1##*.}
shift
exec ip netns exec "$host" unshare --uts bash -c "hostname $host; $*"
