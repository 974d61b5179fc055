package deploy_test

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// What a release packs is the chart, as Helm reads it.
func TestThePackageIsTheChart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	chart, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "run", "-C", "../release", ".", "chart", "-out", folder, chart.Metadata.AppVersion).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	packed, err := loader.Load(filepath.Join(folder, "revoker-"+chart.Metadata.Version+".tgz"))
	if err != nil {
		t.Fatal(err)
	}
	contents := func(files []*common.File) (list []string) {
		for _, f := range files {
			list = append(list, f.Name+"\n"+string(f.Data))
		}
		slices.SortFunc(list, strings.Compare)
		return list
	}
	if !reflect.DeepEqual(packed.Metadata, chart.Metadata) || !reflect.DeepEqual(packed.Values, chart.Values) ||
		!slices.Equal(contents(packed.Templates), contents(chart.Templates)) || !slices.Equal(contents(packed.Files), contents(chart.Files)) ||
		!slices.Equal(contents(packed.Raw), contents(chart.Raw)) || len(packed.Templates) < 10 {
		t.Errorf("the package differs: %+v, not %+v", packed.Metadata, chart.Metadata)
	}
}
