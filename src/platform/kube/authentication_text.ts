// Reads one text as kube-apiserver reads the file of --authentication-config: JSON when it begins with a brace, else the
// first YAML document and nothing behind it.
import type { Finding, Place } from '#platform/config/finding.ts'
import type { TextSource } from '#platform/config/text_source.ts'
import { placeOfOffset } from '#platform/config/text_source.ts'
import { readYamlDocuments } from '#platform/config/yaml_document.ts'
import type { YamlDocument, YamlDocumentRead, YamlPath } from '#platform/config/yaml_document.ts'
import type { DecodedText } from './authentication_bytes.ts'

/** A document as the apiserver would decode it. */
export type AuthenticationDocument = {
  /** Plain JSON data; not to be used when findings are errors. */
  readonly data: unknown
  /** Errors: why the apiserver could not read it (`yaml_not_readable`, `json_not_readable`, `key_duplicate`). */
  readonly findings: readonly Finding[]
  /** Where the key at `path` stands in the operator's file, or its nearest ancestor that is there. */
  readonly placeOf: (path: YamlPath) => Place | undefined
  /** Where the character at `offset` of the text at `path` stands. */
  readonly placeInText: (path: YamlPath, offset: number) => Place | undefined
}

const MAX_BROKEN_PLACES = 3

/** Findings that only the bytes of a file tell; docs/kube-lint.md lists them. */
export const BYTE_CODES = ['bytes_replaced'] as const

/**
 * The documents of a text: one when it is JSON, none when it is empty.
 * @param broken where its bytes were no text
 */
export function readDocuments(
  source: TextSource,
  broken?: DecodedText['broken'],
): readonly AuthenticationDocument[] {
  if (/^\p{White_Space}*\{/u.test(source.text)) return [readJson(source, broken)]
  if (broken !== undefined) {
    const message = `bytes that are no UTF-8 stand here (${broken.bytes}), which no YAML may have`
    const wayOut = 'save the file as UTF-8'
    return [unreadable(source, 'yaml_not_readable', message, wayOut, broken.offset)]
  }
  const character = forbiddenCharacter(source.text)
  if (character !== -1) {
    const message = 'a control character stands here, which no YAML may have'
    return [unreadable(source, 'yaml_not_readable', message, 'take it out', character)]
  }
  const directive = /^%YAML[ \t]+(?!1\.1\s)/m.exec(source.text.split(/^---/m, 1)[0] ?? '')
  if (directive !== null) {
    const message = 'Kubernetes reads YAML 1.1 and refuses a file that says it is another'
    return [unreadable(source, 'yaml_not_readable', message, 'take the line out', directive.index)]
  }
  // a lone carriage return ends a line of YAML 1.1
  const text = source.text.replaceAll(/\r(?!\n)/g, '\n')
  const { documents, refusal } = readYamlDocuments('', text, 'kubernetes')
  if (refusal !== undefined)
    return [{ ...unreadable(source, '', '', '', 0), findings: [told(refusal, source)] }]
  return documents.map((read) => placed(read, source))
}

/** go-yaml's reader: printable Unicode, tab, line breaks. */
function forbiddenCharacter(text: string): number {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.search(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u0084\u0086-\u009F\uFFFE\uFFFF]/)
}

function readJson(source: TextSource, broken: DecodedText['broken']): AuthenticationDocument {
  const data = parseJson(source)
  if ('findings' in data) return data
  // JSON is YAML as far as places and repeated keys go
  const [yaml] = readYamlDocuments('', source.text, 'kubernetes').documents
  const document = yaml === undefined ? undefined : placed(yaml, source)
  const findings = document?.findings.filter(({ code }) => code === 'key_duplicate') ?? []
  const whole = unreadable(source, '', '', '', 0)
  const replaced = broken === undefined ? [] : [replacedBytes(source, broken)]
  return { ...(document ?? whole), data: data.value, findings: [...findings, ...replaced] }
}

/** Go's reader of JSON does not mind. */
function replacedBytes(source: TextSource, broken: NonNullable<DecodedText['broken']>): Finding {
  const [code] = BYTE_CODES
  const message = `bytes that are no UTF-8 stand here (${broken.bytes}): in JSON the apiserver reads U+FFFD for them, which equals nothing that anybody sends`
  const place = placeOfOffset(source, broken.offset)
  return { severity: 'warning', code, path: '', message, wayOut: 'save the file as UTF-8', place }
}

function parseJson(source: TextSource): { readonly value: unknown } | AuthenticationDocument {
  try {
    const value: unknown = JSON.parse(source.text)
    return { value }
  } catch (error) {
    const reason = error instanceof Error ? error.message : ''
    const offset = Number(/position (\d+)/.exec(reason)?.[1] ?? 0)
    const message = 'the text begins with a brace, so the apiserver reads it as JSON, and here it is none'
    return unreadable(
      source,
      'json_not_readable',
      message,
      'write JSON, or YAML that begins with apiVersion:',
      offset,
    )
  }
}

function unreadable(
  source: TextSource,
  code: string,
  message: string,
  wayOut: string,
  offset: number,
): AuthenticationDocument {
  const place = placeOfOffset(source, offset)
  return {
    data: undefined,
    findings: [{ severity: 'error', code, path: '', message, wayOut, place }],
    placeOf: () => source.locate(1, 1),
    placeInText: () => undefined,
  }
}

function placed(read: YamlDocumentRead, source: TextSource): AuthenticationDocument {
  const back = (place: Place | undefined): Place | undefined =>
    place === undefined ? undefined : source.locate(place.line, place.column)
  const document: YamlDocument = read.document
  return {
    data: document.data,
    findings: fewOf(read.findings.map((finding) => told(finding, source))),
    placeOf: (path) => back(document.placeOf(path)) ?? source.locate(1, 1),
    placeInText: (path, offset) => back(document.placeInText(path, offset)),
  }
}

/** A text that is no YAML breaks in each of its lines: after a few places the rest is counted. */
function fewOf(findings: readonly Finding[]): readonly Finding[] {
  const broken = findings.filter(({ code }) => code === 'yaml_not_readable')
  const [next] = broken.slice(MAX_BROKEN_PLACES)
  if (next === undefined) return findings
  const left = new Set(broken.slice(MAX_BROKEN_PLACES))
  const message = `and ${left.size} more of these: this is no YAML`
  const wayOut = 'name the file of --authentication-config, or one that holds it'
  return [...findings.filter((finding) => !left.has(finding)), { ...next, message, wayOut }]
}

function told(finding: Finding, source: TextSource): Finding {
  const { place } = finding
  const code = finding.code === 'yaml_duplicate_key' ? 'key_duplicate' : 'yaml_not_readable'
  return {
    ...finding,
    code,
    place: place === undefined ? undefined : source.locate(place.line, place.column),
  }
}
