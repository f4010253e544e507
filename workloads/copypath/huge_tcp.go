package copypath

// hugeTCP is user-tcp from huge pages, of which a page that is passed by
// reference is one of 512.
func hugeTCP() Family {
	f := userTCP()
	f.Name = "huge-tcp"
	f.About = "user memory on huge pages to a TCP socket over loopback"
	f.connect = func(c *Cell) error {
		if err := c.useHugePages(); err != nil {
			return err
		}
		return connectZerocopy(c)
	}
	return f
}
