# shell.sh: what ./test and ./quickstart share. Sourced, never run.
# Says what it does before it does it; installs only what is missing; stops only what it started, by process id.
# shellcheck shell=bash

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' cyan=$'\e[36m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' cyan='' plain=''
fi
# Some of these are used by only one of the two programs.
: "$bold" "$dim" "$green" "$red" "$cyan" "$plain"

step() { printf '%s==>%s %s%s%s\n' "$cyan" "$plain" "$bold" "$*" "$plain"; }
note() { printf '    %s%s%s\n' "$dim" "$*" "$plain"; }
fail() {
    printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
    exit 1
}

# as_root COMMAND...: as root directly, else through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# A Debian package is there if what it is wanted for is there: a machine may have it from elsewhere.
has_package() {
    case $1 in
    postgresql) pg_bin >/dev/null && command -v pgbench >/dev/null ;;
    postgresql-client) command -v psql >/dev/null ;;
    pgbouncer) command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] ;;
    build-essential) command -v cc >/dev/null && command -v make >/dev/null ;;
    libclang-dev) compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || compgen -G '/usr/lib/*/libclang*.so*' >/dev/null ;;
    libpostgresql-jdbc-java) [ -e /usr/share/java/postgresql.jar ] ;;
    default-jdk-headless) command -v javac >/dev/null ;;
    chromium) command -v chromium >/dev/null ;;
    nodejs) command -v node >/dev/null ;;
    npm) command -v npm >/dev/null ;;
    python3-venv) command -v python3 >/dev/null && python3 -c 'import venv, ensurepip' 2>/dev/null ;;
    openssl) command -v openssl >/dev/null ;;
    *) dpkg -s "$1" >/dev/null 2>&1 ;;
    esac
}

# install PACKAGE...: those that are missing, in one go.
install_missing() {
    local package missing=()
    for package in "$@"; do has_package "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "these Debian packages are missing and there is no apt-get here: ${missing[*]}"
    step "Installing ${missing[*]}"
    if ! as_root true 2>/dev/null; then fail "root (or sudo) is needed to install: ${missing[*]}"; fi
    # A new package must not start a server of its own on this machine.
    local log web=''
    dpkg -s apache2 >/dev/null 2>&1 || web=new
    log=$(mktemp)
    if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive PG_CREATE_MAIN_CLUSTER=false \
        apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "apt-get could not install ${missing[*]}"
    fi
    # simplesamlphp brings Apache with it, which is not what it is installed for here.
    if [ -n "$web" ] && command -v systemctl >/dev/null && dpkg -s apache2 >/dev/null 2>&1; then
        as_root systemctl disable --now apache2 >/dev/null 2>&1 || true
    fi
    rm -f "$log"
}

# Folder of the newest PostgreSQL server programs.
pg_bin() {
    local newest
    newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -n | tail -n 1)
    if [ -n "$newest" ] && [ -x "$newest/initdb" ]; then echo "$newest"; return; fi
    if command -v initdb >/dev/null; then dirname "$(readlink -f "$(command -v initdb)")"; return; fi
    return 1
}

# need_rust: cargo on the path, or a clear word.
need_rust() {
    command -v cargo >/dev/null || PATH=$HOME/.cargo/bin:$PATH
    command -v cargo >/dev/null || fail "Rust is missing: see https://rustup.rs"
}

# A port on loopback that nobody answers on; the wanted one first.
free_port() {
    local port=${1:-0}
    while [ "$port" = 0 ] || (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((20000 + RANDOM % 12000))
    done
    echo "$port"
}

# alive PID: whether that process runs.
alive() { [ -n "${1:-}" ] && kill -0 "$1" 2>/dev/null; }

# stop PID [SIGNAL]: asks, waits ten seconds, insists.
stop() {
    alive "${1:-}" || return 0
    kill -s "${2:-TERM}" "$1" 2>/dev/null || true
    for _ in $(seq 100); do
        alive "$1" || return 0
        sleep 0.1
    done
    kill -s KILL "$1" 2>/dev/null || true
}
