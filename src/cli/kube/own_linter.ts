// Our own linter, as auth-config asks it: about a file that is merged, and about the text that is to be printed. What kube lint
// would say of the text is said here first.
import type { MergedFile } from '#core/kube/auth_config_plan.ts'
import type { KubeProblem } from '#core/kube/kube_problem.ts'
import { kubeVersion, NEWEST_MINOR } from '#core/kube/kube_version.ts'
import type { KubeVersion } from '#core/kube/kube_version.ts'
import { lintAuthenticationConfiguration } from '#core/kube/lint.ts'
import { readAuthenticationFile } from '#platform/kube/authentication_file.ts'
import type { CommandIo } from '../command.ts'
import { readInputBytes } from '../secret_input.ts'
import type { Complaint } from './kube_audience.ts'

const MAX_FILE_BYTES = 1024 * 1024

/**
 * The one configuration of a file, wherever in it that stands. One that an apiserver refuses is not merged: it would make the whole
 * new file unusable. Throws InputFailure when the file cannot be read.
 */
export async function readMergedFile(
  file: string,
  io: Pick<CommandIo, 'stdin' | 'cwd'>,
): Promise<MergedFile | Complaint> {
  // What the release of the cluster does not know is told of the whole text, later.
  const newest = kubeVersion(`1.${NEWEST_MINOR}`)
  if (newest === undefined) throw new Error('the newest release is none')
  const [source, second] = readAuthenticationFile(file, await readInputBytes(file, io, MAX_FILE_BYTES))
  const cannot = (why: string): Complaint => ({
    message: `${file} cannot be merged: ${why}`,
    wayOut: `see what is wrong with it: sallyport kube lint ${file}`,
  })
  if (source === undefined || second !== undefined) return cannot('several configurations stand in it')
  const unread = source.findings.find(({ severity }) => severity === 'error')
  if (unread !== undefined) return cannot(unread.message)
  const { config, problems } = lintAuthenticationConfiguration(source.data, {
    version: newest,
    serviceAccountIssuers: [],
  })
  const refused = problems.find(({ severity }) => severity === 'refused')
  if (refused !== undefined) return cannot(refused.message)
  return config === undefined ? cannot('it is no AuthenticationConfiguration') : { file, config }
}

/** Everything that kube lint would say of `text`. */
export function lintText(text: string, version: KubeVersion): readonly KubeProblem[] {
  const [source] = readAuthenticationFile('authentication.yaml', text)
  if (source === undefined || source.findings.length > 0) {
    throw new Error(`what auth-config prints cannot be read: ${source?.findings[0]?.message}`)
  }
  return lintAuthenticationConfiguration(source.data, { version, serviceAccountIssuers: [] }).problems
}
