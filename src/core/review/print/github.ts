// Workflow commands, which GitHub, Forgejo and Gitea show beside the lines: ::error file=...,line=...,col=...,title=...::message.
// GitHub shows ten of each level in a step, so denials are first.
import { printable } from '#core/module/printable.ts'
import type { Review } from '#core/review/review.ts'
import type { Severity } from '#core/review/review_finding.ts'
import { sentence, shownPlaceOf } from './words.ts'

const COMMANDS: Readonly<Record<Severity, string>> = { deny: 'error', warn: 'warning', notice: 'notice' }

export function githubOf({ findings }: Review): string {
  return findings
    .map((finding) => {
      const place = shownPlaceOf(finding)
      const at =
        place === undefined
          ? []
          : [`file=${property(place.file)}`, `line=${place.line}`, `col=${place.column}`]
      const properties = [...at, `title=${property(finding.rule)}`].join(',')
      return `::${COMMANDS[finding.severity]} ${properties}::${data(sentence(finding))}\n`
    })
    .join('')
}

/** The runner ends a command at a line break and reads % as the beginning of an escape. */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function property(text: string): string {
  return data(printable(text)).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
