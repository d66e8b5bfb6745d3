// What each rule is about, for whoever meets it in a code scanning page without the documentation.
import type { ReviewRuleId } from './review_finding.ts'

export type RuleHelp = {
  /** One sentence. */
  readonly title: string
  /** Why it is there. */
  readonly why: string
}

export const RULE_HELP: Readonly<Record<ReviewRuleId, RuleHelp>> = {
  'WH-V1': {
    title: 'A published version stays on the list.',
    why: 'OpenDepot deletes the archive and its checksum with the entry, so that the same version can come back as something else.',
  },
  'WH-V2': {
    title: 'A version that was taken away comes back only as what it was.',
    why: 'Removing an entry and adding it again is how a tag is moved; a pin that agrees with the ledger says that it is not.',
  },
  'WH-V3': {
    title: 'A published version is not replaced by another one.',
    why: 'Another text in the place of an entry takes the old version off the list.',
  },
  'WH-V4': {
    title: 'A published version keeps its spelling and says nothing but its version.',
    why: 'OpenDepot compares entries as texts: another spelling or another field deletes the Version and fetches it again.',
  },
  'WH-V6': {
    title: 'A version has no build metadata.',
    why: '1.0.0+a and 1.0.0+b are of equal precedence, and neither can be the name of an object.',
  },
  'WH-V7': {
    title: 'A version is MAJOR.MINOR.PATCH with an optional v and pre-release.',
    why: 'The text becomes a git ref, an object name and a path; what is no version ends as something else in each of them.',
  },
  'WH-V9': {
    title: 'A new version is above the old ones, as far as the policy asks for it.',
    why: 'A lower version that appears late reaches users whose constraint allows it, without anybody expecting it.',
  },
  'WH-V11': {
    title: 'A Module has no more versions than an object can hold.',
    why: 'The object must fit into etcd, be judged within the time of a request, and have room in the memory of whoever watches all of them.',
  },
  'WH-V12': {
    title: 'versionHistoryLimit removes nothing that never changes.',
    why: 'Pruning is unpublishing; and OpenDepot fails on a limit above the number of versions.',
  },
  'WH-V13': {
    title: 'Controllers remove no version that never changes.',
    why: 'A history limit would unpublish without anybody asking.',
  },
  'WH-M1': {
    title: "moduleConfig.name is the object's own name.",
    why: 'OpenDepot looks up settings by the one and Versions by the other: where they differ, immutable is not looked at.',
  },
  'WH-M2': {
    title: 'What published keeps its repository, name, provider and file format.',
    why: 'Each of them decides what every published version is fetched from.',
  },
  'WH-M4': {
    title: 'immutable: true is not taken back.',
    why: 'Whoever relies on a version that never changes relied on it yesterday, too.',
  },
  'WH-M5': {
    title: 'fileFormat is zip or tar.',
    why: 'OpenDepot fails without it and packs what it does not know as something else.',
  },
  'WH-M6': {
    title: 'What published keeps its storage.',
    why: 'Archives are not moved along: versions are fetched again, or served from a place that somebody else writes.',
  },
  'WH-M7': {
    title: 'One storage, with what it needs.',
    why: 'With two, OpenDepot writes to the first and serves from the last.',
  },
  'WH-M8': {
    title: 'Changes of credentials are written down.',
    why: 'They change no content, but say who fetches it.',
  },
  'WH-M10': {
    title: 'One name has one owner.',
    why: 'OpenDepot finds Versions by name and label alone, so that a second owner replaces or deletes what the first published.',
  },
  'WH-M12': {
    title: 'A Module with published versions is not deleted.',
    why: 'Deleted and created again, every version of it could be something else.',
  },
  'WH-M13': {
    title: 'A Module that comes back brings back what was there.',
    why: 'Its name stays known to users and lock files after it is gone.',
  },
  'WH-M14': {
    title: 'Garbage collection deletes no Module with published versions.',
    why: 'An owner reference would be a way around the rule about deleting.',
  },
  'WH-M15': {
    title: 'What is covered by a policy stays covered.',
    why: 'A label, a namespace or a definition that goes would take the Modules out of every rule.',
  },
  'WH-S1': {
    title: 'Controllers alone write the status of a Module.',
    why: 'It says which archive is served for which version.',
  },
  'WH-S2': {
    title: 'A checksum that is there stays.',
    why: 'It is the moment at which another archive would become the version.',
  },
  'WH-S3': {
    title: 'Controllers alone describe a Version.',
    why: 'Written by hand it can point a published version at another file.',
  },
  'WH-S4': {
    title: 'Controllers alone make Versions.',
    why: "OpenDepot's server hands out any Version object by its name, so one made by hand is published without a rule seeing it.",
  },
  'WH-S5': {
    title: 'A Version that its Module lists is not deleted.',
    why: 'Its finalizer deletes the archive.',
  },
  'WH-S6': {
    title: 'Controllers alone fetch a Version again.',
    why: 'forceSync overwrites the archive with what the tag is by now.',
  },
  'WH-D1': {
    title: 'A Depot that no longer finds a version unpublishes nothing.',
    why: 'A release deleted upstream would be gone for everybody.',
  },
  'WH-D2': {
    title: 'The defaults of a Depot keep what its Modules rely on.',
    why: 'They are written into every Module of the Depot.',
  },
  'WH-G1': {
    title: 'The expression of a GroupBinding compiles.',
    why: 'One that does not takes every GroupBinding behind it along.',
  },
  'WH-G2': {
    title: 'A GroupBinding names something.',
    why: 'A pattern that matches nothing opens nothing, and nobody is told.',
  },
  'WH-P1': {
    title: "A version is published by its own repository's pipeline.",
    why: 'Whoever may write Modules could else publish the version of anybody.',
  },
  'WH-P2': {
    title: 'A pin says which commit a version is, and stays.',
    why: 'Admission sees no git and no archive: a tag that moved is found by whoever compares with the pin.',
  },
  'WH-L1': {
    title: 'The ledger is written by the webhook alone.',
    why: 'Whoever could write it could publish again what it remembers.',
  },
  'WH-O1': {
    title: 'One Module has one policy.',
    why: 'Two whose selectors overlap make neither the one that holds.',
  },
  'WH-O2': {
    title: 'A ModulePolicy can be read.',
    why: 'While one that nobody can read is stored, nothing that it may be about is published.',
  },
  'WH-O3': {
    title: 'A ModulePolicy that holds less than it did is told.',
    why: 'Whether it may is a matter of roles; that it does is a matter of review.',
  },
  'GIT-1': {
    title: 'What a change brings can be read.',
    why: 'What cannot be read cannot be reviewed, and the cluster may read it another way.',
  },
  'GIT-2': {
    title: 'One object stands in one place.',
    why: 'Which of two files is applied last decides what is stored.',
  },
  'GIT-3': {
    title: 'A file that moved holds the same object.',
    why: 'It is judged against what it was, wherever that stood.',
  },
  'GIT-4': {
    title: 'What is gone from git is still in the cluster, or is deleted there.',
    why: 'It depends on who applies the files.',
  },
  'GIT-5': {
    title: 'What a file stands for is somewhere else.',
    why: 'Submodules, links that lead out and Git LFS hold objects that a review of this repository does not see.',
  },
  'GIT-6': {
    title: 'Objects are of a version and kind that the rules know.',
    why: 'Others are passed over.',
  },
  'GIT-7': {
    title: 'What was published beside git is in git, too.',
    why: 'Applying a list replaces the list.',
  },
  'GIT-8': {
    title: 'What makes manifests is reviewed by what it makes.',
    why: 'A kustomization, a chart or Jsonnet can change every object that its files show.',
  },
  'ARGO-1': {
    title: 'Argo CD deletes no Module because a file is gone.',
    why: 'prune: true turns a deleted file into a deleted Module with every version of it.',
  },
  'ARGO-2': {
    title: 'An empty folder is a mistake.',
    why: 'allowEmpty: true takes it for the wish to delete everything.',
  },
  'ARGO-3': {
    title: 'Argo CD and pipelines that publish do not take each other back.',
    why: "A sync writes git's list of versions over whatever a pipeline added.",
  },
  'ARGO-4': {
    title: 'What is ignored in the comparison is ignored in the sync.',
    why: 'ignoreDifferences alone hides a difference and writes it none the less.',
  },
  'ARGO-5': {
    title: 'A version that git adds is published.',
    why: 'With spec.versions ignored and that respected, adding one in git does nothing.',
  },
  'ARGO-6': {
    title: 'A denied sync ends soon enough to be mended.',
    why: 'While it is tried again, no later commit is.',
  },
  'ARGO-7': {
    title: 'Modules are applied, not replaced.',
    why: 'Replacing drops what others wrote.',
  },
  'ARGO-8': {
    title: 'Modules are not deleted to be created again.',
    why: 'Each version would be fetched anew, as whatever its tag is by then.',
  },
  'ARGO-9': {
    title: 'Server-side apply shares the list only where the list has keys.',
    why: "OpenDepot's own definition has one plain list, of which the last applier has all.",
  },
  'ARGO-10': {
    title: 'A denied Module does not stop the others.',
    why: 'ServerSideDiff asks the webhook while comparing, and a denial there stops every sync.',
  },
  'ARGO-11': {
    title: 'Modules stay when their Application goes.',
    why: 'The finalizer deletes all of them with it.',
  },
  'ARGO-12': {
    title: 'An Application that goes leaves its Modules.',
    why: 'Its finalizer decides what goes along.',
  },
  'ARGO-13': {
    title: 'The policy knows as whom Argo CD writes.',
    why: 'An identity that it does not list is a stranger; one that anybody can take is everybody.',
  },
  'ARGO-14': {
    title: 'What a chart or a plugin makes is reviewed where it is rendered.',
    why: 'It is not run here.',
  },
  'ARGO-15': {
    title: 'What templatePatch does is seen when it is rendered.',
    why: 'It can write any field.',
  },
  'ARGO-16': {
    title: 'What the other sync options mean for published versions.',
    why: 'An option that is misspelt is passed over in silence.',
  },
  'ARGO-17': {
    title: 'Drift is corrected.',
    why: 'Without self-healing it stays until the next commit.',
  },
  'ARGO-18': {
    title: 'A Module is no hook.',
    why: 'Hooks are deleted and made anew with each sync.',
  },
  'ARGO-19': {
    title: 'What an Application applies does not leave it unnoticed.',
    why: 'Another path, a chart or a plugin in its place, a file that moves: to Argo CD the Module is gone from git.',
  },
  'ARGO-20': {
    title: 'What is applied is what the files say.',
    why: 'Patches and names in source.kustomize change objects after the files.',
  },
  'ARGO-21': {
    title: 'What comes from elsewhere is reviewed there.',
    why: 'Another repository, revision or hydrated branch holds other files than these.',
  },
  'ARGO-22': {
    title: 'Argo CD leaves the labels of Sallyport on a Namespace alone.',
    why: 'They decide whether its Modules are looked at.',
  },
}
