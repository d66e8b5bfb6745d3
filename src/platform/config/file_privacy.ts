// Who besides the broker can read a file with a secret, by its permission bits.

const GROUP_READ = 0o040
const WORLD_READ = 0o004

/** What the system says of a file, and who we are. `realPath`: where it lies, without symlinks. */
type FileOwnership = {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly realPath: string
}
export type OwnIds = { readonly uid: number; readonly groups: readonly number[] }

/** The folder of one generation of a volume (kubelet's atomic writer, and the CSI driver's): `..2026_11_05_08_30_00.123456789`. */
const VOLUME_FOLDER = /\/\.\.\d{4}(?:_\d\d){5}\.\d+\//

/**
 * The mode to judge a file by. In the volume of a Kubernetes Secret, a file of another user that is ours to read by its group was
 * given to us that way: fsGroup makes 0400 into 0440, and the group is that of the Pod. Elsewhere a group can be one of many
 * people (`users`, `staff`) and is told, whoever's the file is.
 */
export function modeForUs(file: FileOwnership, own: OwnIds): number {
  const isGiven =
    VOLUME_FOLDER.test(file.realPath) &&
    file.uid !== own.uid &&
    own.uid !== 0 &&
    own.groups.includes(file.gid)
  return isGiven ? file.mode & ~GROUP_READ : file.mode
}

type PrivacyProblem = {
  /** Every user of the machine, not only the group of the file. */
  readonly isWorld: boolean
  readonly message: string
  readonly wayOut: string
}

/** `mode`: permission bits, `undefined` when they are not known. `file` is only named. */
export function privacyProblem(file: string, mode: number | undefined): PrivacyProblem | undefined {
  if (mode === undefined || (mode & (GROUP_READ | WORLD_READ)) === 0) return undefined
  const isWorld = (mode & WORLD_READ) !== 0
  const digits = (mode & 0o777).toString(8).padStart(4, '0')
  const who = isWorld ? 'every user of this machine' : 'its whole group'
  return {
    isWorld,
    message: `${JSON.stringify(file)} can be read by ${who} (mode ${digits})`,
    wayOut: 'chmod 600, as the user that runs the server; for a Kubernetes Secret defaultMode: 0400',
  }
}
