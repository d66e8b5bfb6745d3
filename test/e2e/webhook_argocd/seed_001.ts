// Seed 001's two manifests, taken from the document at test time. The document has lost its indentation on the way; what each line
// is indented by is all that is written here.
import { between, readSeed } from '../../support/seeds.ts'

const MODULE_INDENTATION = '000220244444446884624444'
const APPLICATION_INDENTATION = '000220224442442466'

type SeedManifests = {
  /** Of `modules/terraform-aws-eks.yaml`, as it is after pull request 42. */
  readonly module: string
  /** The same before it. */
  readonly moduleBefore: string
  /** Its repository is the document's, on github.com. */
  readonly application: string
}

/** The repository that the Application of the document names. */
export const SEED_REPOSITORY = 'https://github.com/my-org/opendepot-manifests'

export function seedManifests(): SeedManifests {
  const seed = readSeed('001-opendepot-gitops-argo-cd.md')
  const module = between(seed, 'Module manifest (modules/terraform-aws-eks.yaml):\n', 'Argo CD Application:')
  const application = between(seed, 'Argo CD Application:\n', 'Tip\n')
  const lines = module.trimEnd().split('\n')
  return {
    module: indented(lines, MODULE_INDENTATION),
    moduleBefore: indented(lines.slice(0, -1), MODULE_INDENTATION.slice(0, -1)),
    application: indented(application.trimEnd().split('\n'), APPLICATION_INDENTATION),
  }
}

function indented(lines: readonly string[], columns: string): string {
  if (lines.length !== columns.length) throw new Error(`the document has ${lines.length} lines here`)
  return lines.map((line, index) => `${' '.repeat(Number(columns[index]))}${line}\n`).join('')
}
