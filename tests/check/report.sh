#!/bin/sh
# Pages of attn-gen report and pictures of explain --svg; see report.py.
set -eu
if ! command -v python3 >/dev/null 2>&1; then
    echo "report: skipped, no python3 to parse the pages with"
    exit 0
fi
exec python3 "$(dirname "$0")/report.py" "${BUILD:-build}/attn-gen"
