#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need, runs them all, and ends with "N passed, N failed, N skipped".
#
#   ./test.sh          everything
#   ./test.sh quick    gcc, unit tests, tidy, format
#
# One failure does not stop the others. Each job writes build/logs/JOB.log. A test case counts as
# one; so does a job that has no cases of its own (a build, a checker).
set -u
cd "$(dirname "$0")" || exit 1

mode=${1-all}
case $mode in
all | quick) ;;
*)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac

logs=build/logs
job_seconds=1800 # no job may hang a build server
passed=0
failed=0
skipped=0
failures=()
declare -A status_of process_of

# What a sanitizer finds ends the program, so that no test can overlook it.
export ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

python=/usr/bin/python3
[ -x $python ] || python=python3

newest()
{
    if command -v "$1-14" >/dev/null; then echo "$1-14"; else echo "$1"; fi
}

limited()
{
    timeout --kill-after=10 $job_seconds "$@"
}

# begin NAME COMMAND...: in the background; `job` with the same name waits for it. For those that
# mostly wait.
begin()
{
    local name=$1
    shift
    (
        begun=$SECONDS
        "$@" >"$logs/$name.log" 2>&1
        status=$?
        echo $((SECONDS - begun)) >"$logs/$name.seconds"
        exit "$status"
    ) &
    process_of[$name]=$!
}

# run NAME LOG COMMAND...: sets status and seconds
run()
{
    local name=$1 log=$2 begun=$SECONDS
    shift 2
    if [ -n "${process_of[$name]-}" ]; then
        wait "${process_of[$name]}"
        status=$?
        seconds=$(cat "$logs/$name.seconds")
    else
        "$@" >"$log" 2>&1
        status=$?
        seconds=$((SECONDS - begun))
    fi
}

# job NAME KIND COMMAND...: KIND says how its cases are counted. `one`: it is one case, skipped when
# its status is 77; `step`: none, unless it fails; `unittest` and `show`: by its log; meson:FILE and
# junit:FILE: by a record that it writes.
job()
{
    local name=$1 kind=$2 log=$logs/$1.log status seconds counts record
    shift 2
    record=$log
    [ "${kind#*:}" = "$kind" ] || record=${kind#*:}
    kind=${kind%%:*}
    [ "$record" = "$log" ] || [ -n "${process_of[$name]-}" ] || rm -f "$record"
    run "$name" "$log" "$@"
    status_of[$name]=$status

    case $kind-$status in
    one-0) counts="1 0 0" ;;
    one-77) counts="0 0 1" ;;
    step-0) counts="0 0 0" ;;
    one-* | step-*) counts="0 1 0" ;;
    *) counts=$($python tools/count_tests.py "$kind" "$record" 2>>"$log") || counts="0 1 0" ;;
    esac
    # A run that failed for another reason than its cases has failed as well.
    [ "$status" -eq 0 ] || counts=$(echo "$counts" | awk '{ if ($2 + $3 == 0) $2 = 1; print }')
    account "$name" "$seconds" "$counts"
}

account()
{
    local name=$1 seconds=$2 good bad left word=ok
    read -r good bad left <<<"$3"
    passed=$((passed + good))
    failed=$((failed + bad))
    skipped=$((skipped + left))
    [ "$left" -eq 0 ] || [ "$good" -gt 0 ] || word=skipped
    if [ "$bad" -gt 0 ]; then
        word=FAILED
        failures+=("$name")
    fi
    printf '%-8s %-22s %4d s  %5d passed %3d failed %3d skipped\n' \
        "$word" "$name" "$seconds" "$good" "$bad" "$left"
    [ "$bad" -eq 0 ] || cases_that_failed "$name"
}

# Their names, or what a show says, at once: who reads only the beginning of a long run shall find
# them.
cases_that_failed()
{
    grep -aoE '^(FAILED|ERROR|SUMMARY:) .*|^[A-Za-z]+Error: .*|"problems?": ?.*' "$logs/$1.log" |
        head -n 10 | cut -c 1-400
}

# after JOB NAME...: the job, if the one that it builds upon went well; else it is a skipped one.
after()
{
    local needed=$1
    shift
    if [ "${status_of[$needed]-1}" -eq 0 ]; then
        job "$@"
    else
        echo "not run: $needed failed" >"$logs/$1.log"
        account "$1" 0 "0 0 1"
    fi
}

# compile FOLDER COMPILER OPTION...
compile()
{
    local folder=build/$1 compiler=$2
    shift 2
    if [ ! -f "$folder/build.ninja" ]; then
        rm -rf "$folder"
        CC=$compiler meson setup "$folder" -Dwerror=true "$@" || return
    fi
    limited ninja -C "$folder"
}

# ThreadSanitizer of LLVM 14 cannot place its shadow where a kernel randomizes addresses widely.
fixed_addresses()
{
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        setarch "$(uname -m)" -R "$@"
    else
        "$@"
    fi
}

unit()
{
    fixed_addresses timeout --kill-after=10 $job_seconds \
        meson test -C "build/$1" --no-rebuild --print-errorlogs --timeout-multiplier "$2"
}

unit_job()
{
    after "build-$1" "unit-$1" "meson:build/$1/meson-logs/testlog.json" unit "$1" "$2"
}

# Four files at a time: they wait most of their time. In their own order, which begins the long ones
# early enough.
end_to_end()
{
    local folder=$1
    TICKWIRE=$PWD/build/$folder/src/node/tickwire TEST_BUILD=$PWD/build/$folder \
        limited build/venv/bin/python -m pytest -q -rfEs --durations=5 -p no:cacheprovider \
        -n 4 --dist loadfile --no-loadscope-reorder \
        --junitxml="build/logs/e2e-$folder.xml" tests/e2e
}

show()
{
    TEST_BUILD=$PWD/build/gcc limited $python tools/show.py --ci "$1"
}

finish()
{
    local name
    if [ ${#failures[@]} -gt 0 ]; then
        for name in "${failures[@]}"; do
            printf '\n---- %s: the end of %s ----\n' "$name" "$logs/$name.log"
            tail -n 30 "$logs/$name.log"
        done
        printf '\nfailed: %s\n' "${failures[*]}"
    fi
    printf '\n%d seconds; logs in %s/\n' "$SECONDS" "$logs"
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
}

static_jobs()
{
    job format one tools/lint.sh format
    job tidy one $python tools/tidy.py
    job tool-tests unittest $python -m unittest discover --buffer -s tools -p '*_test.py'
}

mkdir -p $logs
if [ "$mode" = quick ]; then
    job install step tools/install.sh quick
    job build-gcc one compile gcc gcc
    unit_job gcc 4
    static_jobs
    finish
    exit
fi

job install step tools/install.sh test
job venv step tools/venv.sh
job kafka step tools/kafka.sh
static_jobs
job shellcheck one tools/lint.sh shell
job cppcheck one limited tools/lint.sh cppcheck

clang=$(newest clang)
job build-gcc one compile gcc gcc
unit_job gcc 4
job build-clang one compile clang "$clang"
after build-clang clang-tidy one limited tools/lint.sh clang-tidy build/clang
job build-asan one compile asan "$clang" -Db_sanitize=address,undefined -Db_lundef=false
unit_job asan 10
job build-tsan one compile tsan "$clang" -Db_sanitize=thread -Db_lundef=false
unit_job tsan 10

after build-gcc carrier-kafka one limited build/venv/bin/python tests/show/kafka.py \
    build/gcc/tests/carrier_test
[ "${status_of[build-asan]-1}" -ne 0 ] || begin e2e-asan end_to_end asan
after build-gcc e2e-gcc junit:$logs/e2e-gcc.xml end_to_end gcc
after build-asan e2e-asan junit:$logs/e2e-asan.xml end_to_end asan
for name in $($python tools/show.py --names); do
    # Together, those that wait for a simulated exchange most of their time.
    case $name in
    overlap)
        begin show-runtime show runtime
        begin show-limits show limits
        ;;
    stall) begin show-faults show faults ;;
    two-nodes) begin show-rollback show rollback ;;
    start-anywhere) begin show-no-kafka-at-start show no-kafka-at-start ;;
    kafka-faults) begin show-zombie show zombie ;;
    esac
    after build-gcc "show-$name" show show "$name"
done
finish
