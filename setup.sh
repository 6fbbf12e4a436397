#!/bin/sh
# Makes .venv and installs the project into it with the exact versions of constraints.txt. Usage: setup.sh REQUIREMENT
set -eu
requirement=$1
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or later is needed; $("$python" --version) was found. Name another one: make PYTHON=python3.12" >&2
    exit 1
fi

if [ ! -x .venv/bin/pip ]; then
    echo "making .venv"
    if ! "$python" -m venv .venv 2>.venv-error; then
        # Debian and Ubuntu keep ensurepip in a package of its own.
        rm -rf .venv
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && apt-get install -y -qq python3-venv && "$python" -m venv .venv
        elif "$python" -m pip --version >/dev/null 2>&1; then
            "$python" -m pip install --quiet --target .venv-tools virtualenv
            PYTHONPATH=.venv-tools "$python" -m virtualenv --quiet .venv
        else
            cat .venv-error >&2
            echo "This Python cannot make virtual environments. On Debian or Ubuntu: sudo apt install python3-venv" >&2
            exit 1
        fi
    fi
    rm -f .venv-error
fi

echo "installing $requirement (the first time takes a minute or two)"
.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable "$requirement" 2>pip-error.log || {
    cat pip-error.log >&2
    exit 1
}
rm -f pip-error.log

# Live runs need a few system packages; without them everything else works and the live tests are skipped.
case $requirement in
*dev* | *live*)
    packages="mininet iproute2 bridge-utils ethtool"
    if ! command -v mnexec >/dev/null || ! command -v ip >/dev/null || [ ! -x /usr/sbin/brctl ] || [ ! -x /usr/sbin/ethtool ]; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null; then
            echo "installed for live runs: $packages"
        else
            echo "live runs are not possible yet and their tests are skipped; on Debian or Ubuntu: sudo apt install $packages" >&2
        fi
    fi
    if ! command -v linux.uml >/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends user-mode-linux >/dev/null; then
            echo "installed for live runs in a guest kernel: user-mode-linux"
        else
            echo "netem is not tested in User Mode Linux; on Debian or Ubuntu: sudo apt install user-mode-linux" >&2
        fi
    fi
    ;;
esac
