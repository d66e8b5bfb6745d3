// Argo CD's application controller and repo server without the rest of its command line (API server, UI, CLI), which would
// make the program half as large again. As in upstream's cmd/main.go, the component is the name the program is started by.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	askpass "github.com/argoproj/argo-cd/v3/cmd/argocd-git-ask-pass/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

var components = map[string]func() *cobra.Command{
	"argocd-application-controller": controller.NewCommand,
	"argocd-repo-server":            reposerver.NewCommand,
	"argocd-git-ask-pass":           askpass.NewCommand,
}

func main() {
	name := filepath.Base(os.Args[0])
	component, known := components[name]
	if !known {
		fmt.Fprintln(os.Stderr, "unknown component "+name)
		os.Exit(2)
	}
	if err := component().Execute(); err != nil {
		os.Exit(1)
	}
}
