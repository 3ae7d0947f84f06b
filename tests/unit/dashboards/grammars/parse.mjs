// Copyright The otel-tts Authors
// SPDX-License-Identifier: Apache-2.0
// Reads a list of [language, text] as JSON, writes for each the first place that the grammar does not know, or null.

import { parser as logql } from "@grafana/lezer-logql";
import { parser as traceql } from "@grafana/lezer-traceql";
import { readFileSync } from "node:fs";

const parsers = { logql, traceql };

function firstError(language, text) {
  let found = null;
  parsers[language].parse(text).iterate({
    enter(node) {
      if (node.type.isError && found === null) found = node.from;
    },
  });
  return found;
}

const asked = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(asked.map(([language, text]) => firstError(language, text))));
