// From the bytes of a file to its documents, as kubectl takes them apart. What no rule is about is not even parsed: a repository
// holds thousands of other manifests.
import type { UnreadFile } from '#core/review/file_findings.ts'
import type { ObjectPath, Place, ReviewedDocument } from '#core/review/reviewed_object.ts'
import type { Finding } from '#platform/config/finding.ts'
import { readYamlDocuments } from '#platform/config/yaml_document.ts'
import type { YamlDocument } from '#platform/config/yaml_document.ts'
import { MAX_FILE_BYTES } from './limits.ts'
import type { TreeFile } from './file_tree.ts'

export type FileRead = {
  readonly documents: readonly ReviewedDocument[]
  readonly unread: readonly UnreadFile[]
}

/** What a file says without its name; the same for the same bytes in both states. */
type ContentRead = {
  readonly documents: readonly {
    readonly data: unknown
    readonly placeOf: (path: ObjectPath) => Spot | undefined
  }[]
  readonly broken: readonly (Spot & { readonly message: string; readonly isGrave: boolean })[]
}

type Spot = { readonly line: number; readonly column: number }

/** Reads each content once. */
export function documentReader(): (file: TreeFile) => FileRead {
  const known = new Map<string, ContentRead>()
  return (file) => {
    const read = known.get(file.content) ?? readContent(file.bytes)
    known.set(file.content, read)
    return placedIn(file, read)
  }
}

function placedIn({ shown, within, content }: TreeFile, { documents, broken }: ContentRead): FileRead {
  const at = (spot: Spot | undefined): Place | undefined =>
    spot === undefined ? undefined : { file: shown, line: spot.line, column: spot.column }
  return {
    documents: documents.map(({ data, placeOf }) => ({ data, within, placeOf: (path) => at(placeOf(path)) })),
    unread: broken.map(({ line, column, message, isGrave }) => ({
      within,
      place: { file: shown, line, column },
      kind: 'broken',
      ifNew: isGrave ? 'deny' : 'warn',
      message,
      wayOut: 'write it as kubectl reads it; a template is rendered first, and what comes out is reviewed',
      content,
    })),
  }
}

function readContent(bytes: Buffer): ContentRead {
  if (!isOfInterest(bytes.toString('latin1'))) return { documents: [], broken: [] }
  if (bytes.length > MAX_FILE_BYTES) {
    return brokenFile(`the file has ${bytes.length} bytes; at most ${MAX_FILE_BYTES} are read`, true)
  }
  const text = decoded(bytes)
  if (text === undefined) return brokenFile('this is no UTF-8 text', true)
  const reads = partsOf(text).map(readPart)
  return {
    documents: reads.flatMap(({ documents }) => documents),
    broken: reads.flatMap((read) => read.broken),
  }
}

function brokenFile(message: string, isGrave: boolean): ContentRead {
  return { documents: [], broken: [{ line: 1, column: 1, message, isGrave }] }
}

function decoded(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

type Part = { readonly text: string; readonly linesBefore: number }

/** kubectl and Argo CD part a file at each line that begins with `---`, before anything is parsed. */
function partsOf(text: string): readonly Part[] {
  const parts: Part[] = []
  let start = 0
  let linesBefore = 0
  for (let at = text.indexOf('\n---'); at !== -1; at = text.indexOf('\n---', at + 1)) {
    const part = text.slice(start, at + 1)
    parts.push({ text: part, linesBefore })
    linesBefore += part.split('\n').length - 1
    start = at + 1
  }
  parts.push({ text: text.slice(start), linesBefore })
  return parts
}

function readPart({ text, linesBefore }: Part): ContentRead {
  if (!isOfInterest(text)) return { documents: [], broken: [] }
  const { documents, refusal } = readYamlDocuments('', text, 'kubernetes')
  const back = ({ line, column }: Spot): Spot => ({ line: line + linesBefore, column })
  if (refusal !== undefined) return { documents: [], broken: brokenAt([refusal], text, back) }
  const unreadable = documents.flatMap(({ findings }) =>
    findings.filter((one) => !isHarmless(one)).slice(0, 1),
  )
  const readable = documents.flatMap(({ document, findings }, index) =>
    findings.every(isHarmless) ? [{ data: document.data, placeOf: placesOf(text, index, back) }] : [],
  )
  return { documents: readable, broken: brokenAt(unreadable, text, back) }
}

/**
 * Reads the text again when somebody asks for a place: of thousands of documents hardly one has a finding, and the syntax tree
 * is fifty times as large as the data.
 */
function placesOf(
  text: string,
  index: number,
  back: (spot: Spot) => Spot,
): ContentRead['documents'][number]['placeOf'] {
  let document: YamlDocument | undefined
  return (path) => {
    document ??= readYamlDocuments('', text, 'kubernetes').documents[index]?.document
    const place = document?.placeOf(path)
    return place === undefined ? undefined : back(place)
  }
}

function isHarmless({ severity }: Finding): boolean {
  return severity !== 'error'
}

function brokenAt(
  findings: readonly Finding[],
  text: string,
  back: (spot: Spot) => Spot,
): ContentRead['broken'] {
  const plain = withoutEscapes(text)
  if (!ARGO_GROUP.test(plain) && !isJudged(plain)) return []
  const isGrave = isJudged(plain)
  return findings.map(({ message, place }) => ({
    ...back(place ?? { line: 1, column: 1 }),
    message: `this cannot be read: ${message.split('\n', 1)[0] ?? ''}`,
    isGrave,
  }))
}

const GROUPS = /opendepot\.defdev\.io|sallyport\.dev/
const ARGO_GROUP = /argoproj\.io/
const CLUSTER_KINDS = /\bNamespace\b/
/** Words can be hidden in escapes, in base64 behind `!!binary`, and in UTF-16. */
const HIDING = /[\\!\0%]/

function isOfInterest(text: string): boolean {
  return GROUPS.test(text) || ARGO_GROUP.test(text) || CLUSTER_KINDS.test(text) || HIDING.test(text)
}

/** Of a text that is no YAML for us and might be for the cluster: whether the rules would be about it. */
function isJudged(plain: string): boolean {
  return GROUPS.test(plain) || /!!binary|!<tag:yaml\.org,2002:binary>/.test(plain)
}

/** YAML 1.2 §5.7, JSON; lines that a backslash joins. */
function withoutEscapes(text: string): string {
  return text
    .replaceAll(/\\\r?\n[ \t]*/g, '')
    .replaceAll(
      /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/g,
      (all, ...codes: (string | undefined)[]) => {
        const code = Number.parseInt(codes.slice(0, 3).find((hex) => hex !== undefined) ?? '', 16)
        return code <= 0x10_ff_ff ? String.fromCodePoint(code) : all
      },
    )
}
