// 34 real public Dex files against the verdicts in dex_corpus.expected.json: each loads with exactly that report, or is
// refused with the danger named. And whatever they hold, no key goes by in silence.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { loadDexConfig } from '../../src/broker/config/dex/load.ts'
import type { DexConfigLoad } from '../../src/broker/config/dex/load.ts'
import { unwrapDexConfig } from '../../src/broker/config/dex/unwrap.ts'
import { pathText } from '../../src/platform/config/yaml_document.ts'
import type { YamlPath } from '../../src/platform/config/yaml_document.ts'
import { CORPUS_MISSING, CORPUS_VARIABLES, readDexCorpus } from '../support/dex_corpus.ts'
import type { CorpusFile } from '../support/dex_corpus.ts'
import { dexEnv } from '../support/dex_config.ts'

type Verdict = {
  readonly verdict: 'loads' | 'refused'
  /** Why it is refused: codes of the errors. */
  readonly danger?: readonly string[]
  readonly foundIn: string
  /** `line severity code` of every finding. */
  readonly report: readonly string[]
}

const files = readDexCorpus()
const expected: Readonly<Record<string, Verdict>> = JSON.parse(
  readFileSync(new URL('dex_corpus.expected.json', import.meta.url), 'utf8'),
)
const env = dexEnv({ env: CORPUS_VARIABLES })

t.test('the corpus and the list of verdicts name the same files', skipped(), async (t) => {
  t.same(
    (files ?? []).map(({ name }) => name),
    Object.keys(expected),
  )
  t.equal(files?.length, 34)
})

for (const file of files ?? []) {
  t.test(`${file.name}: ${expected[file.name]?.verdict ?? 'unknown'}`, async (t) => {
    t.same(verdictOf(load(file)), expected[file.name])
  })
}

t.test('at least 28 of them load', skipped(), async (t) => {
  const loaded = (files ?? []).filter((file) => load(file).config !== undefined)
  t.ok(loaded.length >= 28, `${loaded.length} load`)
})

t.test('no key of them goes by in silence', skipped(), async (t) => {
  for (const file of files ?? []) {
    const { source } = unwrapDexConfig(file.name, file.text, env)
    const spoken = new Set(load(file).report?.keys.map(({ path }) => path))
    t.same(
      leafPaths(source?.data, []).filter((path) => !isSpokenOf(path, spoken)),
      [],
      file.name,
    )
  }
})

t.test('every finding of them has a place and, unless it only tells, a way out', skipped(), async (t) => {
  for (const file of files ?? []) {
    for (const finding of load(file).findings) {
      t.ok(finding.place !== undefined && finding.place.file === file.name, `${file.name} ${finding.code}`)
      if (finding.severity === 'error')
        t.ok(finding.wayOut ?? finding.message, `${file.name} ${finding.code}`)
    }
  }
})

function skipped(): { skip: string | false } {
  return { skip: files === undefined ? CORPUS_MISSING : false }
}

function load(file: CorpusFile): DexConfigLoad {
  return loadDexConfig(file.name, file.text, env, { flags: { store: 'sqlite', development: false } })
}

function verdictOf(loaded: DexConfigLoad): Verdict {
  const danger = loaded.findings.filter(({ severity }) => severity === 'error').map(({ code }) => code)
  return {
    verdict: loaded.config === undefined ? 'refused' : 'loads',
    ...(danger.length > 0 && { danger: [...new Set(danger)] }),
    foundIn: loaded.report?.foundIn ?? '',
    report: loaded.findings.map(({ place, severity, code }) => `${place?.line ?? 0} ${severity} ${code}`),
  }
}

/** Paths of all values that are no mapping and no list of mappings; of empty mappings, too. */
function leafPaths(value: unknown, path: YamlPath): readonly YamlPath[] {
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value
    if (!items.some((item) => typeof item === 'object' && item !== null)) return [path]
    return items.flatMap((item, index) => leafPaths(item, [...path, index]))
  }
  if (typeof value !== 'object' || value === null) return [path]
  const entries = Object.entries(value)
  return entries.length === 0 ? [path] : entries.flatMap(([key, item]) => leafPaths(item, [...path, key]))
}

/** A verdict speaks for all below it. */
function isSpokenOf(path: YamlPath, spoken: ReadonlySet<string>): boolean {
  return path.some((_, index) => spoken.has(pathText(path.slice(0, index + 1))))
}
