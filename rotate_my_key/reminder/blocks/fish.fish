# rotate-my-key's login reminder for fish (3.5 or newer): says one line a day when an access key is due. Made by
# `rotate-my-key reminder`, which writes it anew; change nothing here. Builtins only: no process is started unless
# something is due. The clock is a file's age: that of `due`, whose time is when there is something to say.
function __rotate_my_key_reminder
    status is-interactive; and test "$ROTATE_MY_KEY_REMINDER" != 0; and builtin -q path; or return 0
    test -t 0; or test -t 2; or return 0
    set -l tool @TOOL@
    set -l python @PYTHON@
    set -l say @SAY@
    set -l dir
    set -l config
    @FOLDERS@
    test -f $dir/state -a -O $dir/state; or return 0
    test -x $tool -o ! -s $dir/../keyring.json; or echo @GONE@ >&2

    # Something that the state was made from has changed since: have it looked at, once a day.
    set -l cred ~/.aws/credentials
    test -n "$AWS_SHARED_CREDENTIALS_FILE"; and set cred $AWS_SHARED_CREDENTIALS_FILE
    set -l conf ~/.aws/config
    test -n "$AWS_CONFIG_FILE"; and set conf $AWS_CONFIG_FILE
    set -l gone
    set -l stale
    if string match -q '3.5.*' -- $version # it cannot compare files, but tell their times, in seconds
        set -l made (path mtime -- $dir/state)
        for changed in (path mtime -- $cred)
            test $changed -gt $made; and set gone 1
        end
        for changed in (path mtime -- $conf $dir/../rotations $config/config.ini @SITE@)
            test $changed -gt $made; and set stale 1
        end
    else
        test $cred -nt $dir/state; and set gone 1
        for file in $conf $dir/../rotations $config/config.ini @SITE@
            test $file -nt $dir/state; and set stale 1
        end
    end
    if test -n "$gone$stale" -a -x $tool -a ! -L $dir/asked
        set -l ask 1
        if test -e $dir/asked
            set -l ago (path mtime -R -- $dir/asked)
            test -f $dir/asked -a -O $dir/asked -a \( "$ago" -lt 0 -o "$ago" -ge 86400 \); or set ask
        end
        if test -n "$ask"; and begin
                math (path mtime -- $dir/state) + (path mtime -R -- $dir/state) >$dir/asked
            end 2>/dev/null
            # Through sh, which ends at once: a child of fish's own would stay a zombie until the next command.
            command /bin/sh -c 'trap "" HUP; "$0" -q status &' $tool </dev/null >/dev/null 2>&1
        end
    end
    test -z "$gone"; or return 0

    test -f $dir/due -a -O $dir/due; or return 0
    set -l ago (path mtime -R -- $dir/due)
    test "$ago" -ge 0 2>/dev/null; or return 0
    # The line comes on the tool's stdout, so that a message about a tool that cannot be run goes nowhere.
    if test -x $python -a -r $say
        command $python -I -S $say $dir </dev/null >&2 2>/dev/null
    else if test -x $tool
        command /bin/sh -c 'exec "$0" reminder say' $tool </dev/null >&2 2>/dev/null
    end
    return 0
end
__rotate_my_key_reminder
functions -e __rotate_my_key_reminder
