// Whether expr-lang 1.17.8 compiles a condition as OpenDepot asks it to: a JSON list of texts in, a JSON list of
// {ok, message, line, column} out.
package main

import (
	"encoding/json"
	"errors"
	"os"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
)

type env struct {
	Groups []string `expr:"groups"`
}

type verdict struct {
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

func judge(expression string) (v verdict) {
	defer func() {
		if r := recover(); r != nil {
			v = verdict{Message: "panic"}
		}
	}()
	_, err := expr.Compile(expression, expr.Env(env{}), expr.AsBool())
	if err == nil {
		return verdict{OK: true}
	}
	var fault *file.Error
	if errors.As(err, &fault) {
		return verdict{Message: fault.Message, Line: fault.Line, Column: fault.Column + 1}
	}
	return verdict{Message: err.Error()}
}

func main() {
	var expressions []string
	if err := json.NewDecoder(os.Stdin).Decode(&expressions); err != nil {
		panic(err)
	}
	verdicts := make([]verdict, len(expressions))
	for i, expression := range expressions {
		verdicts[i] = judge(expression)
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		panic(err)
	}
}
