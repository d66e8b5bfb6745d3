// Finds the AuthenticationConfiguration in what people keep it in: the file itself, a ConfigMap (Gardener), a Talos
// patch, kubeadm or Cluster API files, k3d, Helm values, kubespray's variables, a Secret in base64. Says where it was found.
import { AUTHENTICATION_API_GROUP, AUTHENTICATION_KIND } from '#core/kube/authentication_configuration.ts'
import type { Finding } from '#platform/config/finding.ts'
import { embeddedSource, opaqueSource, wholeFile } from '#platform/config/text_source.ts'
import type { TextSource } from '#platform/config/text_source.ts'
import { pathText } from '#platform/config/yaml_document.ts'
import type { YamlDocument, YamlPath } from '#platform/config/yaml_document.ts'
import { decodeText } from './authentication_bytes.ts'
import { readDocuments } from './authentication_text.ts'
import { isConfiguration, isNothing, isRecord, toolDocument } from './tool_documents.ts'
import type { ToolDocument } from './tool_documents.ts'
import type { AuthenticationDocument } from './authentication_text.ts'

export type AuthenticationSource = AuthenticationDocument & {
  /** For people: `ConfigMap oidc, data["config.yaml"]`; '' for the file itself. */
  readonly foundIn: string
  /** What the apiserver would be given, byte for byte; `undefined` where it stands as keys of something else. */
  readonly bytes: Buffer | undefined
  /** A tool writes it out and chooses the apiVersion for the release; `data` has v1. */
  readonly isVersionOpen: boolean
  /** Documents behind it in the same text, which the apiserver does not read. */
  readonly ignored: readonly AuthenticationDocument[]
}

/** A configuration inside values inside an Argo CD Application inside a List: four is deep. */
const MAX_EMBEDDINGS = 4

/** Every configuration in a file, at least one: a file in which none is found is taken for one itself. */
export function readAuthenticationFile(
  file: string,
  content: string | Uint8Array,
): readonly AuthenticationSource[] {
  const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content)
  const { text, broken } =
    typeof content === 'string' ? { text: content, broken: undefined } : decodeText(content)
  const whole = wholeFile(file, text)
  const documents = readDocuments(whole, broken)
  const [first, ...rest] = documents
  if (first === undefined) return [itself(emptyDocument(whole), bytes, [])]
  const isOwn = isConfiguration(first.data) || Array.isArray(first.data) || isBroken(first)
  if (isOwn) return [itself(first, bytes, rest)]
  const found = documents.flatMap((document, index) =>
    isConfiguration(document.data)
      ? [itself(notFirst(document, index), bytes, [])]
      : search(document.data, [], { document, depth: 0, around: '' }),
  )
  return found.length > 0 ? found : [itself(first, bytes, rest)]
}

function itself(
  document: AuthenticationDocument,
  bytes: Buffer,
  rest: readonly AuthenticationDocument[],
): AuthenticationSource {
  const ignored = rest.filter(({ data, findings }) => !isNothing(data) || findings.length > 0)
  return { ...document, foundIn: '', bytes, isVersionOpen: false, ignored }
}

function isBroken({ findings }: AuthenticationDocument): boolean {
  return findings.some(({ severity }) => severity === 'error')
}

function emptyDocument(source: TextSource): AuthenticationDocument {
  const placeOf = (): ReturnType<TextSource['locate']> => source.locate(1, 1)
  return { data: null, findings: [], placeOf, placeInText: () => undefined }
}

function notFirst(document: AuthenticationDocument, index: number): AuthenticationDocument {
  const finding: Finding = {
    severity: 'error',
    code: 'document_not_first',
    path: '',
    message: `this is document ${index + 1} of the file; the apiserver reads the first and nothing else`,
    wayOut: 'give it a file of its own, without anything before it',
    place: document.placeOf([]),
  }
  return { ...document, findings: [...document.findings, finding] }
}

type Position = {
  readonly document: AuthenticationDocument
  readonly depth: number
  readonly around: string
}

function search(value: unknown, path: YamlPath, at: Position): readonly AuthenticationSource[] {
  if (typeof value === 'string') return searchText(value, path, at)
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => search(item, [...path, index], at))
  if (!isRecord(value)) return []
  const found = toolDocument(value, path)
  if (found !== undefined) return [writtenOut(found, at)]
  return Object.entries(value).flatMap(([key, item]) => search(item, [...path, key], at))
}

function writtenOut({ data, at: path, pathOf }: ToolDocument, at: Position): AuthenticationSource {
  return {
    data: { apiVersion: `${AUTHENTICATION_API_GROUP}/v1`, ...data },
    findings: at.document.findings,
    placeOf: (keys) => at.document.placeOf(pathOf(keys)),
    placeInText: (keys, offset) => at.document.placeInText(pathOf(keys), offset),
    foundIn: foundIn(path, at),
    bytes: undefined,
    isVersionOpen: data['apiVersion'] === undefined,
    ignored: [],
  }
}

function searchText(value: string, path: YamlPath, at: Position): readonly AuthenticationSource[] {
  if (at.depth >= MAX_EMBEDDINGS || value.length < AUTHENTICATION_KIND.length) return []
  const bytes = value.includes(AUTHENTICATION_KIND) ? undefined : decodedBase64(value)
  const { text, broken } = bytes === undefined ? { text: value, broken: undefined } : decodeText(bytes)
  if (!text.includes(AUTHENTICATION_KIND) || !/[:{]/.test(text)) return []
  const yaml = asYaml(at.document)
  const source = bytes === undefined ? embeddedSource(yaml, path, text) : opaqueSource(yaml, path, text)
  const [first, ...rest] = readDocuments(source, broken)
  if (first === undefined) return []
  if (isConfiguration(first.data) || (isBroken(first) && /^kind: /m.test(text))) {
    return [{ ...itself(first, bytes ?? Buffer.from(text), rest), foundIn: foundIn(path, at) }]
  }
  return [first, ...rest].flatMap((document) =>
    search(document.data, [], { document, depth: at.depth + 1, around: `${foundIn(path, at)} > ` }),
  )
}

/** Secrets, files of cloud-init. */
function decodedBase64(value: string): Buffer | undefined {
  return /^[A-Za-z0-9+/\r\n]+={0,2}\s*$/.test(value) ? Buffer.from(value, 'base64') : undefined
}

function asYaml({ data, placeOf, placeInText }: AuthenticationDocument): YamlDocument {
  return { data, placeOf, placeInText, sourceOf: () => undefined }
}

function foundIn(path: YamlPath, at: Position): string {
  const { data } = at.document
  const kind = isRecord(data) && typeof data['kind'] === 'string' ? data['kind'] : 'YAML'
  const metadata = isRecord(data) ? data['metadata'] : undefined
  const name = isRecord(metadata) && typeof metadata['name'] === 'string' ? ` ${metadata['name']}` : ''
  return `${at.around}${kind}${name}, ${pathText(path)}`
}
