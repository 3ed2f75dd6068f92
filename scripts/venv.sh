# shellcheck shell=sh
# Sourced by the other scripts: one way to the Python that runs the project, its virtual environment made on demand.
# $root is the project's folder; ready_venv installs, and then $venv_python is the interpreter to use.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv=${CANGKU_VENV:-$root/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
venv_python=$venv/bin/python

fail() {
    echo "${0##*/}: $*" >&2
    exit 2
}

# Prints a Python that is new enough; a newer one may stand beside an old python3.
find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "needs Python 3.11 or newer, as python3 or named in \$PYTHON; there is none"
}

# What an installation depends on: where the project lies, what it asks for, and the Python that it was made with.
describe_installation() {
    echo "$root $1 $("$venv_python" --version 2>/dev/null)"
    cat "$root/pyproject.toml"
}

# ready_venv EXTRA: the project is installed with that extra ('' for none); takes no time when nothing has changed.
ready_venv() {
    stamp=$venv/cangku${1:+-$1}.installed
    if [ -f "$stamp" ] && describe_installation "$1" | cmp -s - "$stamp"; then
        return
    fi
    python=$(find_python) || exit
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"
    echo "${0##*/}: installing the Python parts into $venv, once" >&2
    "$python" -m venv "$venv" || fail "$venv cannot be made; CANGKU_VENV names another folder"
    "$venv_python" -m pip install --quiet --disable-pip-version-check --editable "$root${1:+[$1]}" ||
        fail "the Python parts cannot be installed, see above"
    describe_installation "$1" >"$stamp"
}
