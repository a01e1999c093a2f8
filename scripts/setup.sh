#!/usr/bin/env bash
# setup.sh demo|test: installs what `make demo` or `make test` needs and is missing.
# Asks nothing; when everything is there it only looks (about 0.3 s).

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LOG=build/setup.log
: >"$LOG"

# Debian's names. What the build needs, then what a run needs.
BUILD_PACKAGES=(gcc libc6-dev pkg-config libasound2-dev)
RUN_PACKAGES=(
    ffmpeg mesa-vulkan-drivers libvulkan1
    libx11-6 libx11-xcb1 libxcursor1 libxi6 libxrandr2 libxkbcommon-x11-0
)
# The tests open real windows, play real sound and send real MIDI, all without hardware.
TEST_PACKAGES=(
    xvfb xdotool openbox imagemagick x11-utils
    pulseaudio pulseaudio-utils libasound2-plugins sox
    jackd2 libjack-jackd2-dev
    # Real music whose tempo is known.
    fluidsynth timgm6mb-soundfont openttd-openmsx
    # Ableton Link, C++, and its bindings to Rust.
    cmake g++ libclang-dev
)
# What stands for them on other systems.
BUILD_COMMANDS=(cc)
RUN_COMMANDS=(ffmpeg)
TEST_COMMANDS=(Xvfb xdotool openbox import pulseaudio pactl paplay sox jackd cmake c++)

SUDO=()
# Root, sudo without a password, or sudo that may ask because somebody sits there.
can_install() {
    if ((EUID == 0)); then
        return 0
    elif ! have sudo; then
        return 1
    elif sudo -n true 2>/dev/null || [[ -t 0 && -t 2 ]]; then
        SUDO=(sudo)
        return 0
    fi
    return 1
}

missing_packages() {
    local installed package
    # Architecture-qualified names (libx11-6:amd64) come back without the suffix.
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
    for package in "$@"; do
        grep -qx "installed $package" <<<"$installed" || printf '%s ' "$package"
    done
}

missing_commands() {
    local name
    for name in "$@"; do
        have "$name" || printf '%s ' "$name"
    done
}

# install_packages PACKAGE...: true when they are installed.
install_packages() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q -y)
    # A broken third-party source must not stop us: what counts is the install.
    "${SUDO[@]}" "${apt[@]}" update >>"$LOG" 2>&1 ||
        complain "apt-get update had trouble ($LOG); going on with the lists that are there"
    "${SUDO[@]}" "${apt[@]}" install --no-install-recommends "$@" >>"$LOG" 2>&1
}

# need_packages COMMANDS PACKAGE...: COMMANDS, one word, are what must exist where apt cannot help.
need_packages() {
    local commands=$1 missing
    shift
    if have apt-get && have dpkg-query; then
        missing=$(missing_packages "$@")
        [[ -z $missing ]] && return
        read -ra missing_list <<<"$missing"
        if can_install; then
            say "installing ${missing% }"
            install_packages "${missing_list[@]}" && return
            tail -n 20 "$LOG" >&2
            die "apt-get could not install these packages; $LOG has all it said"
        fi
        complain "not root and no sudo, so these packages stay missing: ${missing% }"
        complain "to install them, as root: apt-get install --no-install-recommends ${missing% }"
    else
        complain "no apt-get here, so nothing is installed; the Debian names of what is needed: $*"
    fi
    read -ra wanted <<<"$commands"
    missing=$(missing_commands "${wanted[@]}")
    [[ -z $missing ]] || die "missing commands: ${missing% }"
    complain "all commands are there; going on"
}

need_rust() {
    have cargo || die "Rust is missing: install it with rustup (the stable toolchain), then run this again"
}

# What `rustup --profile minimal` leaves out.
need_rust_components() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    have rustup || die "cargo fmt and cargo clippy are missing: install your system's rustfmt and clippy"
    say "installing rustfmt and clippy"
    rustup component add rustfmt clippy >>"$LOG" 2>&1 || die "rustup could not add them; see $LOG"
}

sha256_of() {
    if have sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# ONNX Runtime, which the program loads at run time, is taken out of its Python wheel: the one
# channel that has it for every platform and with a hash to check. Python does not run it.
need_onnxruntime() {
    local version=1.31.1 cache platform library want
    if [[ -n ${ORT_DYLIB_PATH:-} ]]; then
        [[ -e $ORT_DYLIB_PATH ]] || die "ORT_DYLIB_PATH names $ORT_DYLIB_PATH, which is not there"
        return
    fi
    case $(uname -s) in
        Darwin) cache=$HOME/Library/Caches ;;
        *) cache=${XDG_CACHE_HOME:-$HOME/.cache} ;;
    esac
    case $(uname -s)-$(uname -m) in
        Linux-x86_64)
            platform=manylinux_2_28_x86_64 library=libonnxruntime.so.$version
            want=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3
            ;;
        Linux-aarch64)
            platform=manylinux_2_28_aarch64 library=libonnxruntime.so.$version
            want=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467
            ;;
        Darwin-arm64)
            platform=macosx_14_0_arm64 library=libonnxruntime.$version.dylib
            want=d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36
            ;;
        *)
            complain "no ONNX Runtime $version is known for $(uname -s) $(uname -m):" \
                "name your own library with ORT_DYLIB_PATH or --ort-lib"
            return
            ;;
    esac
    local dir=$cache/bendwave/onnxruntime/$version
    [[ -f $dir/$library && $(sha256_of "$dir/$library") == "$want" ]] && return

    if ! python3 -m pip --version >/dev/null 2>&1; then
        local need="python3 with pip is needed once, to fetch ONNX Runtime"
        if ! have apt-get || ! can_install; then
            die "$need; or name a library with ORT_DYLIB_PATH"
        fi
        say "installing python3-pip, to fetch ONNX Runtime"
        install_packages python3-pip || die "$need, and apt-get could not install it; see $LOG"
    fi
    say "fetching ONNX Runtime $version"
    mkdir -p "$cache/bendwave/onnxruntime"
    # Beside its final place, so that the rename is atomic. Global: the trap runs after this returns.
    WORK=$(mktemp -d "$cache/bendwave/onnxruntime/.new.XXXXXX")
    trap 'rm -rf "$WORK"' EXIT
    python3 -m pip download --disable-pip-version-check --no-deps --only-binary=:all: \
        --implementation cp --python-version 3.12 --platform "$platform" \
        --require-hashes -r scripts/onnxruntime.txt -d "$WORK/wheel" >>"$LOG" 2>&1 || {
        tail -n 5 "$LOG" >&2
        die "could not fetch ONNX Runtime; $LOG has all that pip said"
    }
    python3 - "$WORK" <<'PYTHON'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
(wheel,) = (work / "wheel").glob("*.whl")
(work / "lib").mkdir()
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        path = pathlib.PurePosixPath(name)
        library = path.parent.name == "capi" and path.name.startswith("libonnxruntime")
        if library or name in ("onnxruntime/LICENSE", "onnxruntime/ThirdPartyNotices.txt"):
            (work / "lib" / path.name).write_bytes(archive.read(name))
PYTHON
    [[ $(sha256_of "$WORK/lib/$library") == "$want" ]] ||
        die "$library from the wheel is not the pinned one; nothing was installed"
    rm -rf "$dir"
    mv "$WORK/lib" "$dir"
    say "ONNX Runtime $version is in $dir"
}

case ${1:-} in
    demo)
        need_rust
        need_packages "${BUILD_COMMANDS[*]} ${RUN_COMMANDS[*]}" "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}"
        ;;
    test)
        need_rust
        need_rust_components
        need_packages "${BUILD_COMMANDS[*]} ${RUN_COMMANDS[*]} ${TEST_COMMANDS[*]}" \
            "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
        ;;
    *) die "usage: scripts/setup.sh demo|test" ;;
esac
need_onnxruntime
