// Files as a review sees them, without a disk: each test says what one state has and the other has not.
import { createHash } from 'node:crypto'
import type { LedgerEntry, PublishedFacts } from '../../src/core/module/ledger.ts'
import { review } from '../../src/core/review/review.ts'
import type { Review, ReviewedTree, ReviewInput } from '../../src/core/review/review.ts'
import type { ReviewFinding } from '../../src/core/review/review_finding.ts'
import { documentReader } from '../../src/cli/review/documents.ts'

/** Name -> text. */
export type Files = Readonly<Record<string, string>>

export type ReviewedFiles = Partial<Omit<ReviewInput, 'before' | 'after' | 'around'>> & {
  readonly before?: Files
  readonly after: Files
  readonly around?: Files
}

export function reviewed({ before = {}, after, around = {}, ...rest }: ReviewedFiles): Review {
  return review({
    policies: [],
    ledger: [],
    user: undefined,
    mayDo: new Set(),
    atSeconds: 1_800_000_000,
    namespace: undefined,
    isPruned: false,
    ...rest,
    before: tree(before),
    after: tree(after),
    around: tree(around).documents,
  })
}

function tree(files: Files): ReviewedTree {
  const read = documentReader()
  const reads = Object.entries(files).map(([name, text]) => {
    const bytes = Buffer.from(text)
    const content = createHash('sha256').update(bytes).digest('hex')
    return read({ shown: name, within: name, bytes, content })
  })
  return {
    documents: reads.flatMap(({ documents }) => documents),
    unread: reads.flatMap(({ unread }) => unread),
  }
}

/** `modules/vpc.yaml:12 deny WH-V3: version ...` */
export function told({ findings }: Pick<Review, 'findings'>): readonly string[] {
  return findings.map((finding) => `${at(finding)} ${finding.severity} ${finding.rule}: ${finding.message}`)
}

/** `modules/vpc.yaml:12 deny WH-V3` */
export function toldShortly({ findings }: Pick<Review, 'findings'>): readonly string[] {
  return findings.map((finding) => `${at(finding)} ${finding.severity} ${finding.rule}`)
}

function at({ place, was }: ReviewFinding): string {
  const shown = place ?? was
  return shown === undefined ? '-' : `${shown.file}:${shown.line}`
}

/** Seed 001's Module, one version a line from line 14 on. */
export function moduleYaml(
  versions: readonly string[],
  edit: { readonly [from: string]: string } = {},
): string {
  const text = `apiVersion: opendepot.defdev.io/v1alpha1
kind: Module
metadata:
  name: terraform-aws-eks
  namespace: opendepot-system
spec:
  moduleConfig:
    name: terraform-aws-eks
    provider: aws
    repoUrl: https://github.com/my-org/terraform-aws-eks
    fileFormat: zip
    immutable: true
  versions:
${versions.map((version) => `    - version: "${version}"\n`).join('')}`
  return Object.entries(edit).reduce((edited, [from, to]) => edited.replaceAll(from, to), text)
}

/** Seed 001's Application; edits are put in place of texts. */
export function applicationYaml(edit: { readonly [from: string]: string } = {}): string {
  const text = `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: my-org-opendepot-modules
  namespace: argocd
spec:
  project: default
  source:
    repoURL: https://github.com/my-org/opendepot-manifests
    targetRevision: main
    path: modules
  destination:
    server: https://kubernetes.default.svc
    namespace: opendepot-system
  syncPolicy:
    automated:
      prune: false
      selfHeal: true
`
  return Object.entries(edit).reduce((edited, [from, to]) => edited.replace(from, to), text)
}

export function ledgerEntry(version: string, facts: Partial<PublishedFacts> = {}): LedgerEntry {
  return {
    module: { kind: 'Module', namespace: 'opendepot-system', name: 'terraform-aws-eks' },
    version,
    facts: { state: 'present', immutable: true, ...facts },
  }
}
